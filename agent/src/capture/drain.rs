//! Empties the ring.
//!
//! The reader is woken as seldom as can be. While there is traffic it looks every 10 ms, so that
//! the kernel needn't wake it; when a look finds nothing it arms the wake-up, looks once more (a
//! record may have come in between), and then sleeps without a timer.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aya::maps::{Array, MapData, RingBuf};
use aya_log::EbpfLogger;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::time::{ClockId, clock_gettime};

use super::CaptureError;
use super::attach::{Hint, Hints};
use super::event::{BootTime, Event, Said, decode};
use super::flows::{self, FlowEvent};
use super::log_ring::ToTracing;
use super::pairing::Pairing;
use super::status::Shared;

/// How long the reader lets records gather while there is traffic.
const GATHER: Duration = Duration::from_millis(10);

/// Records that one [`Drain::drain`] reads at most, so that its caller gets to do other things.
const BATCH: usize = 16 * 1024;

/// What the probes write to.
pub(super) struct Rings {
    pub(super) ring: RingBuf<MapData>,
    /// Absent where connections aren't watched.
    pub(super) flows: Option<RingBuf<MapData>>,
}

/// The reader's end of the rings. Belongs to one thread.
pub struct Drain {
    rings: Rings,
    armed: Array<MapData, u32>,
    log: EbpfLogger<ToTracing>,
    epoll: OwnedFd,
    waker: Waker,
    hints: Hints,
    pairing: Pairing,
    shared: Arc<Shared>,
    state: State,
}

/// Ends the sleep of a [`Drain`], now or when it next falls asleep.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Does it.
    pub fn wake(&self) {
        // It can only fail if the counter is full, and then the drain has been woken already.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The ring may hold more: look again at once.
    Full,
    /// There was something a moment ago.
    Busy,
    /// There was nothing; the wake-up is not armed yet.
    Quiet,
    /// The wake-up is armed, and the ring has not been looked at since.
    Arming,
    /// The wake-up is armed, and there was nothing.
    Armed,
}

impl Drain {
    pub(super) fn new(
        rings: Rings,
        armed: Array<MapData, u32>,
        log: EbpfLogger<ToTracing>,
        hints: Hints,
        shared: Arc<Shared>,
    ) -> Result<Self, CaptureError> {
        let wrap = |errno: rustix::io::Errno| CaptureError::Io(errno.into());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(wrap)?;
        // Edge-triggered: data that lies in the ring is no reason to wake, only the kernel's word.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(0);
        epoll::add(&epoll, rings.ring.as_fd(), data, flags).map_err(wrap)?;
        if let Some(flows) = &rings.flows {
            epoll::add(&epoll, flows.as_fd(), data, flags).map_err(wrap)?;
        }
        epoll::add(&epoll, log.as_fd(), data, flags).map_err(wrap)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(wrap)?;
        epoll::add(&epoll, &event, data, flags).map_err(wrap)?;
        let waker = Waker(Arc::new(event));
        let pairing = Pairing::new(Arc::clone(&shared.unpaired));
        Ok(Self { rings, armed, log, epoll, waker, hints, pairing, shared, state: State::Quiet })
    }

    /// What ends a sleep from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Sleeps until it is worth calling [`Drain::drain`], or for `timeout`; without one, for as
    /// long as nothing happens. May return early.
    ///
    /// # Errors
    ///
    /// Only if the kernel refuses to wait or to be told that we do, which would be a defect.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.state {
            State::Full | State::Arming => Ok(()),
            State::Busy => self.sleep(Some(timeout.map_or(GATHER, |limit| limit.min(GATHER)))),
            State::Quiet => {
                self.armed.set(0, 1, 0).map_err(io::Error::other)?;
                self.state = State::Arming;
                Ok(())
            }
            State::Armed => {
                self.state = State::Quiet;
                self.sleep(timeout)
            }
        }
    }

    /// Hands over what is in the ring, in the order in which it happened, and says how many events
    /// that were.
    pub fn drain(&mut self, mut sink: impl FnMut(Event<'_>)) -> usize {
        let boot = boot_time();
        let (mut events, mut records, mut bytes) = (0, 0, 0);
        while records < BATCH
            && let Some(record) = self.rings.ring.next()
        {
            records += 1;
            bytes += record.len() as u64;
            match decode(&record, boot) {
                Ok(Said::Event(event)) => {
                    if let Some(hint) = Hint::of(&event) {
                        self.hints.give(hint);
                    }
                    if let Event::Exited { process, .. } | Event::Executed { process, .. } = event {
                        self.pairing.exited(process);
                    }
                    sink(event);
                    events += 1;
                }
                Ok(Said::Held(segment)) => self.pairing.hold(segment),
                Ok(Said::Joined(joined)) => self.pairing.join(&joined, |event| {
                    sink(event);
                    events += 1;
                }),
                Err(malformed) => {
                    tracing::debug!(%malformed);
                    self.shared.malformed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.shared.records.fetch_add(records as u64, Ordering::Relaxed);
        self.shared.ring_peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        self.log.flush();
        self.state = match (records, self.state) {
            (BATCH, _) => State::Full,
            (0, State::Arming) => State::Armed,
            (0, State::Full | State::Busy | State::Quiet | State::Armed) => State::Quiet,
            (_, _) => State::Busy,
        };
        events
    }

    /// Hands over what is in the ring of flows, in the order in which it happened, and says how many
    /// events that were. What a process wrote may be in either ring first.
    pub fn drain_flows(&mut self, mut sink: impl FnMut(FlowEvent<'_>)) -> usize {
        let Some(ring) = &mut self.rings.flows else { return 0 };
        let boot = boot_time();
        let mut records = 0;
        while records < BATCH
            && let Some(record) = ring.next()
        {
            records += 1;
            match flows::decode(&record, boot) {
                Ok(event) => sink(event),
                Err(malformed) => {
                    tracing::debug!(%malformed);
                    self.shared.malformed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        records
    }

    fn sleep(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        let mut woken_by = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 2];
        match epoll::wait(&self.epoll, &mut woken_by[..], timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// What to add to the kernel's times. Read anew for each batch, since the clock may be set.
fn boot_time() -> BootTime {
    let boot = nanoseconds(ClockId::Boottime);
    BootTime(nanoseconds(ClockId::Realtime) - boot)
}

fn nanoseconds(clock: ClockId) -> i128 {
    let time = clock_gettime(clock);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}
