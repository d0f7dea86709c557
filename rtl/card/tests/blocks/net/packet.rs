//! Packets of TCP and UDP over IPv4 and IPv6, put together in plain Rust.

use rand::Rng;
use rand::rngs::SmallRng;

/// The Internet checksum's sum (RFC 1071), of bytes that begin at an even place.
pub fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).fold(0u32, |s, w| s + (u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0))))
}

pub fn folded(mut s: u32) -> u16 {
    while s > 0xffff {
        s = (s & 0xffff) + (s >> 16);
    }
    s as u16
}

/// What a packet is made of.
#[derive(Clone, Debug)]
pub struct Packet {
    pub tagged: bool,
    pub v6: bool,
    pub udp: bool,
    pub source: [u8; 16],
    pub destination: [u8; 16],
    pub ip_options: usize,
    pub id: u16,
    pub ports: [u16; 2],
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

impl Packet {
    pub fn random(rng: &mut SmallRng, v6: bool, udp: bool, payload: usize) -> Packet {
        let options = if udp { 0 } else { 4 * rng.random_range(0..=10) };
        Packet {
            tagged: rng.random_ratio(1, 4),
            v6,
            udp,
            source: rng.random(),
            destination: rng.random(),
            ip_options: if v6 || rng.random_ratio(3, 4) { 0 } else { 4 * rng.random_range(1..=10) },
            id: rng.random(),
            ports: rng.random(),
            sequence: rng.random(),
            acknowledged: rng.random(),
            flags: rng.random(),
            options: (0..options).map(|_| rng.random()).collect(),
            payload: (0..payload).map(|_| rng.random()).collect(),
        }
    }

    /// Where its IP header begins, and its transport's.
    pub fn l3(&self) -> usize {
        if self.tagged { 18 } else { 14 }
    }
    pub fn l4(&self) -> usize {
        self.l3() + if self.v6 { 40 } else { 20 + self.ip_options }
    }
    pub fn headers(&self) -> usize {
        self.l4() + if self.udp { 8 } else { 20 + self.options.len() }
    }
    /// Where its checksum lies.
    pub fn place(&self) -> usize {
        self.l4() + if self.udp { 6 } else { 16 }
    }

    /// The sum of its pseudo-header, with the length of its transport.
    pub fn pseudo(&self, length: usize) -> u32 {
        let n = if self.v6 { 16 } else { 4 };
        let proto = if self.udp { UDP } else { TCP };
        sum(&self.source[..n]) + sum(&self.destination[..n]) + u32::from(proto) + sum(&(length as u32).to_be_bytes())
    }

    /// The frame, with right checksums.
    pub fn bytes(&self) -> Vec<u8> {
        let mut f: Vec<u8> = vec![2, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2];
        if self.tagged {
            f.extend([0x81, 0, 0x20, 5]);
        }
        let l4_length = self.headers() - self.l4() + self.payload.len();
        let proto = if self.udp { UDP } else { TCP };
        if self.v6 {
            f.extend([0x86, 0xdd, 0x60, 1, 2, 3]);
            f.extend((l4_length as u16).to_be_bytes());
            f.extend([proto, 64]);
            f.extend(self.source);
            f.extend(self.destination);
        } else {
            f.extend([8, 0, 0x45 + (self.ip_options / 4) as u8, 0]);
            f.extend(((20 + self.ip_options + l4_length) as u16).to_be_bytes());
            f.extend(self.id.to_be_bytes());
            f.extend([0x40, 0, 64, proto, 0, 0]);
            f.extend(&self.source[..4]);
            f.extend(&self.destination[..4]);
            f.extend((0..self.ip_options).map(|i| i as u8 + 1));
            let header = self.l3();
            let c = !folded(sum(&f[header..]));
            f[header + 10..header + 12].copy_from_slice(&c.to_be_bytes());
        }
        let l4 = f.len();
        f.extend(self.ports.iter().flat_map(|p| p.to_be_bytes()));
        if self.udp {
            f.extend((l4_length as u16).to_be_bytes());
            f.extend([0, 0]);
        } else {
            f.extend(self.sequence.to_be_bytes());
            f.extend(self.acknowledged.to_be_bytes());
            f.extend([(5 + self.options.len() as u8 / 4) << 4, self.flags, 1, 2, 0, 0, 3, 4]);
            f.extend(&self.options);
        }
        f.extend(&self.payload);
        let c = !folded(sum(&f[l4..]) + self.pseudo(l4_length));
        let c = if c == 0 && self.udp { 0xffff } else { c };
        let at = self.place();
        f[at..at + 2].copy_from_slice(&c.to_be_bytes());
        f
    }

    /// The frame as a driver hands it over whose checksum the device is to complete.
    pub fn partial(&self) -> Vec<u8> {
        let mut f = self.bytes();
        let at = self.place();
        let p = folded(self.pseudo(f.len() - self.l4()));
        f[at..at + 2].copy_from_slice(&p.to_be_bytes());
        f
    }

    /// Its segments.
    pub fn segments(&self, size: usize) -> Vec<Vec<u8>> {
        let count = self.payload.len().div_ceil(size);
        let one = |(i, part): (usize, &[u8])| {
            let mut p = Packet { payload: part.to_vec(), ..self.clone() };
            p.id = self.id.wrapping_add(i as u16);
            p.sequence = self.sequence.wrapping_add((i * size) as u32);
            if i > 0 {
                p.flags &= !0x80;
            }
            if i + 1 < count {
                p.flags &= !0x09;
            }
            p.bytes()
        };
        self.payload.chunks(size).enumerate().map(one).collect()
    }
}
