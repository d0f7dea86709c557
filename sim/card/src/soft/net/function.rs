//! A net function: its registers, and the task that serves its queues.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use azote_regs::virtio::NO_VECTOR;
use azote_regs::virtio::net::{MAX_GSO, control, feature, header};

use super::bus::Bus;
use super::filter::Filter;
use super::packet;
use super::registers::Registers;
use super::ring::{Bad, Chain};

/// Frames that wait for receive buffers at most.
const WAITING: usize = 256;

/// What the task shares with who writes registers.
pub(super) struct State {
    pub registers: Registers,
    pub filter: Filter,
    /// Frames to be received, and whether the first has to wait for buffers.
    waiting: VecDeque<Vec<u8>>,
    starved: bool,
    /// Frames that were sent.
    pub sent: VecDeque<Vec<u8>>,
    working: bool,
}

/// A net function.
pub(super) struct Function {
    number: u8,
    state: Arc<Mutex<State>>,
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Function {
    pub fn new(number: u8, mac: [u8; 6], bus: &Bus) -> Self {
        let state = State {
            registers: Registers::new(number, mac),
            filter: Filter::default(),
            waiting: VecDeque::new(),
            starved: false,
            sent: VecDeque::new(),
            working: false,
        };
        let state = Arc::new(Mutex::new(state));
        Function { number, task: Box::pin(serve(number, bus.clone(), state.clone())), state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Begins anew, as after a reset.
    pub fn reset(&mut self, mac: [u8; 6], bus: &Bus) {
        bus.forget(self.number);
        *self = Function::new(self.number, mac, bus);
    }

    /// Goes on as far as it can now.
    pub fn work(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let _ = self.task.as_mut().poll(&mut context);
    }

    pub fn busy(&self) -> bool {
        let state = self.state();
        state.working || !state.sent.is_empty()
    }
}

impl State {
    /// A frame for it; it is lost if the function does not want it or has too many.
    pub fn give(&mut self, frame: &[u8]) {
        let wanted = self.registers.runs() && self.filter.takes(frame, &self.registers);
        if wanted && self.waiting.len() < WAITING {
            self.waiting.push_back(frame.to_vec());
            self.working |= !self.starved;
        }
    }

    /// Registers were written: there may be something to do.
    pub fn look(&mut self) {
        self.working |= self.registers.runs();
    }

    fn job(&mut self) -> Option<Job> {
        self.working = false;
        if !self.registers.runs() {
            return None;
        }
        self.working = true;
        if let Some(queue) = self.registers.take_rung() {
            return Some(if queue == self.registers.control_queue() {
                Job::Control(queue)
            } else {
                Job::Transmit(queue)
            });
        }
        let pair = self.waiting.front().map(|frame| (packet::flow(frame) % u64::from(self.filter.pairs)) as u16);
        if let Some(pair) = pair {
            let fed = self.registers.take_fed(2 * pair);
            if fed || !self.starved {
                return self.waiting.front().cloned().map(|frame| Job::Receive(2 * pair, frame));
            }
        }
        self.working = false;
        None
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is to be done next.
enum Job {
    Transmit(u16),
    Control(u16),
    Receive(u16, Vec<u8>),
}

/// Waits for the next clock.
struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

async fn serve(number: u8, bus: Bus, state: Arc<Mutex<State>>) {
    loop {
        let job = lock(&state).job();
        let done = match job {
            None => {
                Pause(false).await;
                continue;
            }
            Some(Job::Transmit(queue)) => transmit(number, queue, &bus, &state).await,
            Some(Job::Control(queue)) => control(number, queue, &bus, &state).await,
            Some(Job::Receive(queue, frame)) => receive(number, queue, &frame, &bus, &state).await,
        };
        if let Err(Bad) = done {
            let vector = lock(&state).registers.needs_reset();
            if u64::from(vector) != NO_VECTOR {
                bus.interrupt(number, vector);
            }
        }
    }
}

async fn transmit(number: u8, queue: u16, bus: &Bus, state: &Mutex<State>) -> Result<(), Bad> {
    let Some((mut ring, turn)) = lock(state).registers.ring(queue) else { return Ok(()) };
    while let Some(chain) = ring.next(bus).await? {
        let fits =
            chain.room() == 0 && (header::SIZE as usize..=(header::SIZE + MAX_GSO) as usize).contains(&chain.len());
        if !fits {
            return Err(Bad);
        }
        let data = chain.read(bus, number).await?;
        lock(state).sent.extend(packet::frames(&data));
        ring.give(bus, &[(chain.head, 0)]).await?;
        lock(state).registers.keep(queue, &ring, turn);
    }
    Ok(())
}

async fn control(number: u8, queue: u16, bus: &Bus, state: &Mutex<State>) -> Result<(), Bad> {
    let Some((mut ring, turn)) = lock(state).registers.ring(queue) else { return Ok(()) };
    while let Some(chain) = ring.next(bus).await? {
        if chain.room() == 0 || chain.len() > 4096 {
            return Err(Bad);
        }
        let command = chain.read(bus, number).await?;
        let answer = {
            let State { registers, filter, .. } = &mut *lock(state);
            filter.command(&command, registers)
        };
        let mut bytes = answer.clone().unwrap_or_default();
        bytes.push(if answer.is_some() { control::OK } else { control::ERR } as u8);
        if bytes.len() > chain.room() {
            bytes = vec![control::ERR as u8];
        }
        chain.write(bus, number, &bytes);
        ring.give(bus, &[(chain.head, bytes.len() as u32)]).await?;
        lock(state).registers.keep(queue, &ring, turn);
    }
    Ok(())
}

async fn receive(number: u8, queue: u16, frame: &[u8], bus: &Bus, state: &Mutex<State>) -> Result<(), Bad> {
    let (found, mergeable, verify) = {
        let state = lock(state);
        let has = |feature| state.registers.has(feature);
        (state.registers.ring(queue), has(feature::MRG_RXBUF), has(feature::GUEST_CSUM))
    };
    let Some((mut ring, turn)) = found else {
        // Nobody receives in this pair.
        lock(state).waiting.pop_front();
        return Ok(());
    };
    let total = header::SIZE as usize + frame.len();
    let (mut chains, mut room): (Vec<Chain>, usize) = (Vec::new(), 0);
    while room < total {
        let Some(chain) = ring.next(bus).await? else {
            // It is tried again when the driver has rung; what was taken was only looked at.
            lock(state).starved = true;
            return Ok(());
        };
        if chain.len() > 0 || chain.room() == 0 {
            return Err(Bad);
        }
        room += chain.room();
        chains.push(chain);
        if !mergeable && room < total {
            // It does not fit, and the buffer stays the device's for another.
            let mut state = lock(state);
            state.waiting.pop_front();
            return Ok(());
        }
    }
    let mut packet = vec![0; header::SIZE as usize];
    packet[header::NUM_BUFFERS as usize..][..2].copy_from_slice(&(chains.len() as u16).to_le_bytes());
    if verify && packet::verified(frame) {
        packet[header::FLAGS as usize] = header::F_DATA_VALID.mask() as u8;
    }
    packet.extend_from_slice(frame);
    let mut rest = &packet[..];
    let mut used = Vec::with_capacity(chains.len());
    for chain in &chains {
        let (now, more) = rest.split_at(rest.len().min(chain.room()));
        chain.write(bus, number, now);
        used.push((chain.head, now.len() as u32));
        rest = more;
    }
    ring.give(bus, &used).await?;
    let mut state = lock(state);
    state.registers.keep(queue, &ring, turn);
    state.waiting.pop_front();
    state.starved = false;
    Ok(())
}
