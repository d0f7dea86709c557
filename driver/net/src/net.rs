//! A network device: how it is opened, and what it is asked.

use std::sync::Arc;
use std::time::Duration;

use azote_dma::{Attachment, Dma};
use azote_regs::virtio::net::{
    CONTROL_QUEUE_ONE_PAIR, FRAME_HEADER, MAX_MTU, S_ANNOUNCE, S_LINK_UP, config, feature, header,
};
use azote_regs::virtio::{self, bit};
use azote_seam::{Function, Vector};
use azote_virtio::Transport;

use crate::control::Control;
use crate::receive::Receive;
use crate::transmit::Transmit;
use crate::{Batch, Completions, Error, Options, Packet, Result, Stats};

/// The state of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Frames pass.
    pub up: bool,
    /// The device asks to be announced ([`Net::announced`]).
    pub announce: bool,
    /// In Mb/s, if it is known.
    pub speed: Option<u32>,
    /// Both ways at once.
    pub full_duplex: bool,
}

/// A network device.
pub struct Net {
    pub(crate) transport: Transport,
    receive: Vec<Receive>,
    transmit: Vec<Transmit>,
    pub(crate) control: Option<Control>,
    vectors: Vec<Arc<dyn Vector>>,
    pub(crate) mac: [u8; 6],
    mtu: u16,
    pub(crate) patience: Duration,
    pub(crate) stats: Stats,
    dma: Dma,
    /// The last to go: until the device is reset, it may write.
    _attachment: Attachment,
}

/// Features that the driver makes use of.
const WANTED: u64 = Transport::RING_FEATURES
    | bit(feature::CSUM)
    | bit(feature::GUEST_CSUM)
    | bit(feature::MTU)
    | bit(feature::MAC)
    | bit(feature::HOST_TSO4)
    | bit(feature::HOST_TSO6)
    | bit(feature::HOST_ECN)
    | bit(feature::MRG_RXBUF)
    | bit(feature::STATUS)
    | bit(feature::CTRL_VQ)
    | bit(feature::CTRL_RX)
    | bit(feature::CTRL_VLAN)
    | bit(feature::GUEST_ANNOUNCE)
    | bit(feature::MQ)
    | bit(feature::CTRL_MAC_ADDR)
    | bit(feature::VQ_NOTF_COAL)
    | bit(feature::NOTF_COAL)
    | bit(feature::SPEED_DUPLEX);

impl Net {
    /// Resets the device and sets it up.
    pub fn open(function: Arc<dyn Function>, dma: Dma, options: Options) -> Result<Self> {
        let attachment = dma.attach(function.clone())?;
        let mut transport = Transport::open(function.clone(), options.timeout)?;
        transport.agree(WANTED & !options.without)?;
        let has = |feature| transport.has(feature);
        let mac = if has(feature::MAC) { transport.config(config::MAC)? } else { local() };
        let mtu = if has(feature::MTU) { u16::from_le_bytes(transport.config(config::MTU)?) } else { 1500 };
        let mtu = mtu.clamp(virtio::net::MIN_MTU as u16, MAX_MTU as u16);
        let most =
            if has(feature::MQ) { u16::from_le_bytes(transport.config(config::MAX_VIRTQUEUE_PAIRS)?) } else { 1 };
        // Behind the pairs comes the control queue: what has not as many queues has it where another is.
        let queues = transport.queues()?;
        if most == 0 || u32::from(queues) < 2 * u32::from(most) {
            let function = function.name().into();
            return Err(Error::Pairs { function, pairs: most, queues });
        }
        let pairs = options.pairs.clamp(1, most);
        let vectors = match options.completions {
            Completions::Polled => Vec::new(),
            Completions::Interrupts => function.enable_msix(pairs + 1)?,
        };
        let vector = |pair| (!vectors.is_empty()).then_some(pair + 1);
        let mergeable = has(feature::MRG_RXBUF);
        let header = if has(feature::HASH_REPORT) { header::SIZE_HASH } else { header::SIZE } as usize;
        let longest = usize::from(mtu) + FRAME_HEADER as usize;
        let (mut receive, mut transmit) = (Vec::new(), Vec::new());
        for pair in 0..pairs {
            let queue = transport.queue(2 * pair, &dma, options.depth, vector(pair))?;
            receive.push(Receive::new(pair, queue, &dma, options.buffer, header, mergeable, longest)?);
            let queue = transport.queue(2 * pair + 1, &dma, options.depth, None)?;
            transmit.push(Transmit::new(queue, &dma, header)?);
        }
        let control = if has(feature::CTRL_VQ) {
            let index = if has(feature::MQ) { 2 * most } else { CONTROL_QUEUE_ONE_PAIR as u16 };
            Some(Control::new(transport.queue(index, &dma, 16, None)?, &dma)?)
        } else {
            None
        };
        if !vectors.is_empty() {
            transport.config_vector(0)?;
        }
        let (patience, stats) = (options.timeout, Stats::default());
        let mut this = Net {
            transport,
            receive,
            transmit,
            control,
            vectors,
            mac,
            mtu,
            patience,
            stats,
            dma,
            _attachment: attachment,
        };
        for transmit in &mut this.transmit {
            transmit.want_interrupts(false)?;
        }
        for receive in &mut this.receive {
            receive.want_interrupts(!this.vectors.is_empty())?;
        }
        this.transport.ready()?;
        for receive in &mut this.receive {
            receive.ring()?;
        }
        if pairs > 1 {
            this.set_pairs(pairs)?;
        }
        Ok(this)
    }

    /// Its address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Bytes of the longest packet inside of a frame.
    #[must_use]
    pub fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Pairs of queues that are in use.
    #[must_use]
    pub fn pairs(&self) -> u16 {
        self.receive.len() as u16
    }

    /// Whether a feature was agreed on, by its number.
    #[must_use]
    pub fn has(&self, feature: u32) -> bool {
        self.transport.has(feature)
    }

    /// Counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The function that it drives.
    #[must_use]
    pub fn function(&self) -> &Arc<dyn Function> {
        self.transport.function()
    }

    /// The memory that it uses.
    #[must_use]
    pub fn dma(&self) -> &Dma {
        &self.dma
    }

    /// The link, as it is now. A device that tells nothing of it is up.
    pub fn link(&self) -> Result<Link> {
        let status = if self.has(feature::STATUS) {
            u16::from_le_bytes(self.transport.config(config::STATUS)?).into()
        } else {
            S_LINK_UP.mask()
        };
        let (mut speed, mut full_duplex) = (None, false);
        if self.has(feature::SPEED_DUPLEX) {
            let rate = u32::from_le_bytes(self.transport.config(config::SPEED)?);
            speed = (rate <= i32::MAX as u32).then_some(rate);
            full_duplex = self.transport.config::<1>(config::DUPLEX)? == [1];
        }
        Ok(Link { up: S_LINK_UP.is_set(status), announce: S_ANNOUNCE.is_set(status), speed, full_duplex })
    }

    fn no_pair(&self, pair: u16) -> Error {
        Error::NoPair { pair, pairs: self.pairs() }
    }

    /// Sends packets in a pair; how many of them there was room for. They are copied: the caller may use their memory at once.
    pub fn send(&mut self, pair: u16, packets: &[Packet<'_>]) -> Result<usize> {
        self.can(packets)?;
        let (missing, most) = (self.no_pair(pair), usize::from(self.mtu) + FRAME_HEADER as usize);
        let transmit = self.transmit.get_mut(usize::from(pair)).ok_or(missing)?;
        transmit.send(packets, most, &mut self.stats)
    }

    /// That the device agreed to do what is asked of it.
    fn can(&self, packets: &[Packet<'_>]) -> Result<()> {
        for packet in packets {
            let lacks = |what, bit, feature| if self.has(bit) { Ok(()) } else { Err(Error::Lacks { what, feature }) };
            if packet.checksum.is_some() {
                lacks("a checksum", feature::CSUM, "CSUM")?;
            }
            if let Some(segment) = packet.segment {
                match segment.kind {
                    crate::SegmentKind::Tcp4 => lacks("segmentation", feature::HOST_TSO4, "HOST_TSO4")?,
                    crate::SegmentKind::Tcp6 => lacks("segmentation", feature::HOST_TSO6, "HOST_TSO6")?,
                }
                if segment.ecn {
                    lacks("segmentation with ECN", feature::HOST_ECN, "HOST_ECN")?;
                }
                if packet.checksum.is_none() {
                    return Err(Error::Packet {
                        len: packet.bytes.len(),
                        what: "segments need a checksum each (§5.1.6.2)",
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes up to `most` frames of a pair into `batch`, in place of what it held.
    pub fn receive(&mut self, pair: u16, batch: &mut Batch, most: usize) -> Result<usize> {
        let missing = self.no_pair(pair);
        let receive = self.receive.get_mut(usize::from(pair)).ok_or(missing)?;
        receive.take(batch, most, &mut self.stats)
    }

    /// Lets the device proceed until a frame came in any pair, or for so long of its time; true if one did.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool> {
        let function = self.transport.function().clone();
        let deadline = function.now() + timeout;
        loop {
            let mut came = false;
            for receive in &mut self.receive {
                came |= if self.vectors.is_empty() { receive.has_used()? } else { receive.want_interrupts(true)? };
            }
            if came {
                return Ok(true);
            }
            self.transport.check()?;
            let now = function.now();
            if now >= deadline {
                return Ok(false);
            }
            match &self.vectors[..] {
                // With several queues each has a turn; a frame of another's waits a millisecond at most.
                [_, only] => drop(only.wait(deadline - now)?),
                [_, more @ ..] => {
                    let turn = Duration::from_millis(1).min(deadline - now) / more.len() as u32;
                    for vector in more {
                        vector.wait(turn)?;
                    }
                }
                [] => function.relax(),
            }
        }
    }

    /// Lets the device proceed until it has sent all that it was given; false if it has not in time.
    pub fn flush(&mut self) -> Result<bool> {
        let function = self.transport.function().clone();
        let deadline = function.now() + self.patience;
        loop {
            let mut left = 0;
            for transmit in &mut self.transmit {
                transmit.reclaim(&mut self.stats)?;
                left += transmit.under_way();
            }
            if left == 0 {
                return Ok(true);
            }
            self.transport.check()?;
            if function.now() >= deadline {
                return Ok(false);
            }
            function.relax();
        }
    }

    /// An error if the device needs a reset or is gone.
    pub fn check(&self) -> Result<()> {
        Ok(self.transport.check()?)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Whether it can be told or not: bus mastering off ends its access to memory that is about to be another's.
        let _ = self.transport.reset();
        let function = self.transport.function();
        let _ = azote_seam::set_command(&**function, 0, azote_regs::pcie::header::COMMAND_BME.mask());
        if !self.vectors.is_empty() {
            let _ = function.disable_msix();
        }
    }
}

/// An address for a device that has none: locally administered.
fn local() -> [u8; 6] {
    let noise = std::process::id().to_le_bytes();
    [2, 0x41, noise[0], noise[1], noise[2], noise[3]]
}
