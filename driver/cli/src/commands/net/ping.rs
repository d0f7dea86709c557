//! `azote net ping`.

use std::{collections::HashMap, io::Write, time::Duration};

use super::super::print;
use super::station::Station;
use crate::args::net::Ping;
use crate::{Error, Result, card::Card, nbd::Stop};

/// How long is waited at a time: who interrupts is heard after it.
const TURN: Duration = Duration::from_millis(20);

/// What came of it so far.
#[derive(Default)]
struct Tally {
    sent: u64,
    received: u64,
    wrong: u64,
    times: Vec<f64>,
}

pub(super) fn run(card: &dyn Card, arguments: &Ping, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    let Ping { target, destination, from, size, .. } = arguments;
    let net = super::open(card, &target.0)?;
    let most = net.mtu().saturating_sub(28);
    if *size > most {
        return Err(Error::Usage(format!("-s {size}: with an MTU of {} an echo has {most} bytes at most", net.mtu())));
    }
    // From here on an interrupt ends it in order, with the statistics.
    stop.set_orderly();
    let mut station = Station::new(net, *from, arguments.gateway);
    let (address, len) = (from.address, 28 + u32::from(*size));
    print(
        out,
        &format!("PING {destination} ({destination}) from {address} {}: {size}({len}) bytes of data.\n", target.0),
    )?;
    let begun = station.now();
    let mut tally = Tally::default();
    let asked = ask(&mut station, arguments, &mut tally, out, stop);
    let passed = (station.now() - begun).as_millis();
    print(out, &tally.summary(arguments, passed))?;
    asked?;
    drop(station);
    if let Some(report) = card.report() {
        print(out, &report)?;
    }
    if tally.received == 0 { Err(Error::NoAnswer { address: *destination }) } else { Ok(()) }
}

fn ask(station: &mut Station, arguments: &Ping, tally: &mut Tally, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    let (interval, timeout) = (Duration::from_millis(arguments.interval), Duration::from_millis(arguments.timeout));
    let id = std::process::id() as u16;
    let data: Vec<u8> = (0..arguments.size).map(|i| i as u8).collect();
    let mut open: HashMap<u16, Duration> = HashMap::new();
    while !stop.is_stopped() && arguments.count.is_none_or(|count| tally.sent < count) {
        let seq = (tally.sent + 1) as u16;
        match station.resolve(arguments.destination)? {
            Some(to) => {
                open.insert(seq, station.now());
                station.ask(to, arguments.destination, id, seq, &data)?;
            }
            None => {
                let own = arguments.from.address;
                print(out, &format!("From {own} icmp_seq={seq} Destination Host Unreachable\n"))?;
            }
        }
        tally.sent += 1;
        let last = arguments.count == Some(tally.sent);
        let until = station.now() + if last { timeout } else { interval };
        while station.now() < until && !stop.is_stopped() && !(last && open.is_empty()) {
            for echo in station.hear((until - station.now()).min(TURN))? {
                let Some(since) = open.remove(&echo.seq).filter(|_| echo.id == id) else { continue };
                let time = (station.now() - since).as_secs_f64() * 1e3;
                let wrong = if echo.data == data { "" } else { " (wrong data!)" };
                tally.received += 1;
                tally.wrong += u64::from(!wrong.is_empty());
                tally.times.push(time);
                let (from, seq, ttl, len) = (echo.from, echo.seq, echo.ttl, echo.len);
                print(out, &format!("{len} bytes from {from}: icmp_seq={seq} ttl={ttl} time={time:.3} ms{wrong}\n"))?;
            }
        }
    }
    Ok(())
}

impl Tally {
    fn summary(&self, arguments: &Ping, passed: u128) -> String {
        let Tally { sent, received, wrong, times } = self;
        let loss = (sent - received) * 100 / (*sent).max(1);
        let errors = if *wrong > 0 { format!(" +{wrong} corrupted,") } else { String::new() };
        let mut text = format!(
            "\n--- {} ping statistics ---\n{sent} packets transmitted, {received} received,{errors} {loss}% packet loss, time \
             {passed}ms\n",
            arguments.destination
        );
        if !times.is_empty() {
            let count = times.len() as f64;
            let least = times.iter().copied().fold(f64::INFINITY, f64::min);
            let most = times.iter().copied().fold(0.0, f64::max);
            let mean = times.iter().sum::<f64>() / count;
            let deviation = (times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / count).sqrt();
            text += &format!("rtt min/avg/max/mdev = {least:.3}/{mean:.3}/{most:.3}/{deviation:.3} ms\n");
        }
        text
    }
}
