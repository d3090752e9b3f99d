//! Puts probes on the functions of one file.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::thread;

use aya::Ebpf;
use aya::programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope};
use aya::programs::{ProgramError, UProbe};
use aya::sys::SyscallError;

use super::elf::Place;
use super::functions::Function;
use super::multi::{self, Point, When};
use super::site::{Abilities, Code, Exits, Site, Sites};
use super::sockets::{Followed, Sockets};
use super::status::Probed;

/// The most of a function that is looked at, in bytes. Those that are probed have a few hundred.
const CODE_MAX: u64 = 4096;

/// Links that are closed at a time.
const CLOSERS: usize = 32;

/// The probes on a file. Dropped in this order, so that no call is entered that won't be seen to
/// return.
#[derive(Default)]
pub(super) struct Probes {
    enter: Vec<Link>,
    leave: Vec<Link>,
    /// Where calls are seen to begin, in bytes from the beginning of the file.
    entries: Vec<u64>,
}

/// What the kernel takes probes away with, when it is dropped.
enum Link {
    Single(#[expect(dead_code, reason = "is dropped")] UProbeLink),
    Multi(#[expect(dead_code, reason = "is dropped")] OwnedFd),
}

/// What attaches them.
pub(super) struct Prober {
    ebpf: Ebpf,
    /// Where the kernel has links of many probes.
    multi: Option<multi::Programs>,
    kernel: Abilities,
    sockets: Sockets,
}

/// A function, and where its probes go.
pub(super) struct Planned {
    pub(super) function: Function,
    /// Where in the file the function begins, or the one that it calls and that has the probes.
    pub(super) start: u64,
    /// By how many bytes that is behind the function's first instruction.
    pub(super) distance: i64,
    /// Counted from `start`.
    pub(super) sites: Sites,
}

/// A program, when it runs, and where.
type Group = (&'static str, When, Vec<Point>);

impl Probes {
    /// Where in the file calls are seen to begin.
    pub(super) fn entries(&self) -> &[u64] {
        &self.entries
    }

    /// None, on a file in which calls would be seen to begin there.
    #[cfg(test)]
    pub(super) fn at(entries: Vec<u64>) -> Self {
        Self { entries, ..Self::default() }
    }

    /// Takes the probes of many files away. The kernel takes its time for each link, but not one
    /// after the other.
    pub(super) fn remove(all: impl Iterator<Item = Self>) {
        let (mut enter, mut leave) = (Vec::new(), Vec::new());
        for probes in all {
            enter.extend(probes.enter);
            leave.extend(probes.leave);
        }
        for mut links in [enter, leave] {
            thread::scope(|scope| {
                let share = links.len().div_ceil(CLOSERS);
                while !links.is_empty() {
                    let some = links.split_off(links.len().saturating_sub(share));
                    scope.spawn(move || drop(some));
                }
            });
        }
    }
}

impl Planned {
    /// With the probes in the function itself, which begins at `start`.
    pub(super) fn new(function: Function, start: u64, sites: Sites) -> Self {
        Self { function, start, distance: 0, sites }
    }
}

impl Prober {
    pub(super) fn new(ebpf: Ebpf, multi: Option<multi::Programs>, kernel: Abilities) -> Self {
        Self { ebpf, multi, kernel, sockets: Sockets::default() }
    }

    /// Has the probes shown which socket records come from and go to, for as long as the answer is kept.
    pub(super) fn follow_sockets(&mut self) -> Result<Arc<Followed>, ProgramError> {
        self.sockets.follow(&mut self.ebpf)
    }

    /// Attaches to all functions or to none.
    pub(super) fn attach(
        &mut self,
        file: &File,
        functions: &[(Function, Place)],
    ) -> Result<(Vec<Probed>, Probes), ProgramError> {
        let chosen = self.plan(file, functions).ok_or_else(unsafe_return)?;
        match self.attach_all(file, &chosen) {
            Ok(probes) => Ok((probed(chosen), probes)),
            // Whatever the kernel has against a site, it may have nothing against the first one.
            Err(error) => {
                tracing::debug!(%error, "the chosen sites were refused");
                let plain = functions.iter().map(|(function, place)| {
                    let sites = Sites::plain(function.asked(), self.kernel)?;
                    Some(Planned::new(*function, place.offset, sites))
                });
                let plain: Vec<Planned> = plain.collect::<Option<_>>().ok_or(error)?;
                let probes = self.attach_all(file, &plain)?;
                Ok((probed(plain), probes))
            }
        }
    }

    /// Attaches to all of these sites or to none.
    pub(super) fn attach_planned(
        &mut self,
        file: &File,
        planned: Vec<Planned>,
    ) -> Result<(Vec<Probed>, Probes), ProgramError> {
        let probes = self.attach_all(file, &planned)?;
        Ok((probed(planned), probes))
    }

    /// `None` if one of the functions has no sites that are safe.
    fn plan(&self, file: &File, functions: &[(Function, Place)]) -> Option<Vec<Planned>> {
        let planned = functions.iter().map(|(function, place)| {
            let Ok(code) = read_code(file, *place) else {
                let sites = Sites::plain(function.asked(), self.kernel)?;
                return Some(Planned::new(*function, place.offset, sites));
            };
            let own = Sites::choose(&code, function.asked(), self.kernel);
            if !own.as_ref().is_some_and(Sites::are_cheap)
                && let Some(inner) = self.plan_inner(file, *function, *place, &code)
            {
                return Some(inner);
            }
            Some(Planned::new(*function, place.offset, own?))
        });
        planned.collect()
    }

    /// Probes in the function that does it all for this one, if that has cheap places for them.
    fn plan_inner(
        &self,
        file: &File,
        function: Function,
        place: Place,
        code: &Code,
    ) -> Option<Planned> {
        let distance = Sites::inner(code, function.asked())?;
        let inner = place.other(distance)?;
        let code = read_code(file, inner).ok()?;
        let sites = Sites::choose(&code, function.asked(), self.kernel)?;
        sites.are_cheap().then_some(Planned { function, start: inner.offset, distance, sites })
    }

    /// Returns come first: a call that is seen to return without having been seen to be entered
    /// does no harm.
    fn attach_all(&mut self, file: &File, planned: &[Planned]) -> Result<Probes, ProgramError> {
        let leave = self.attach_groups(file, leaving(planned))?;
        let enter = self.attach_groups(file, entering(planned))?;
        let begin = planned.iter().filter(|planned| planned.function.enter.is_some());
        let entries = begin.map(|planned| in_file(planned.start, planned.sites.entry)).collect();
        Ok(Probes { enter, leave, entries })
    }

    fn attach_groups(
        &mut self,
        file: &File,
        groups: Vec<Group>,
    ) -> Result<Vec<Link>, ProgramError> {
        let mut links = Vec::new();
        for (program, when, points) in groups {
            if let Some(multi) = &self.multi {
                let link = multi.attach(program, file, when, &points);
                let failed = |io_error| SyscallError { call: "bpf_link_create", io_error };
                links.push(Link::Multi(link.map_err(failed)?));
            } else {
                for point in points {
                    links.push(Link::Single(self.attach_single(program, file, point)?));
                }
            }
        }
        Ok(links)
    }

    fn attach_single(
        &mut self,
        program: &'static str,
        file: &File,
        point: Point,
    ) -> Result<UProbeLink, ProgramError> {
        let program = self.ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?;
        let program: &mut UProbe = program.try_into()?;
        // As for links of many.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let point = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(point.offset),
            // Without one the program reads 0.
            cookie: (self.kernel.cookies && point.cookie > 0).then_some(point.cookie),
        };
        let link = program.attach(point, path, UProbeScope::AllProcesses)?;
        program.take_link(link)
    }
}

/// Why a function can't be probed on this kernel.
fn unsafe_return() -> ProgramError {
    let reason = "a return probe could end the process on this kernel (6.11 to 6.13), and its code \
                  doesn't show where else it returns";
    ProgramError::IOError(io::Error::other(reason))
}

fn leaving(planned: &[Planned]) -> Vec<Group> {
    let mut groups = Vec::new();
    for Planned { function, start, sites, .. } in planned {
        let Some(leave) = function.leave else { continue };
        match &sites.exits {
            Exits::Unwatched => {}
            Exits::Returned => {
                add(&mut groups, leave.returned, When::Returned, *start, sites.entry);
            }
            Exits::At(exits) => {
                for exit in exits {
                    add(&mut groups, leave.exit, When::Before, *start, *exit);
                }
            }
        }
    }
    groups
}

fn entering(planned: &[Planned]) -> Vec<Group> {
    let mut groups = Vec::new();
    for Planned { function, start, sites, .. } in planned {
        if let Some(enter) = function.enter {
            add(&mut groups, enter, When::Before, *start, sites.entry);
        }
    }
    groups
}

fn add(groups: &mut Vec<Group>, program: &'static str, when: When, start: u64, site: Site) {
    let point = Point { offset: in_file(start, site), cookie: u64::from(site.displacement) };
    match groups.iter_mut().find(|(name, ..)| *name == program) {
        Some((.., points)) => points.push(point),
        None => groups.push((program, when, vec![point])),
    }
}

/// Where in the file a site of the function that begins at `start` is.
fn in_file(start: u64, site: Site) -> u64 {
    start.saturating_add(u64::from(site.offset))
}

fn probed(planned: Vec<Planned>) -> Vec<Probed> {
    let probed = planned.into_iter();
    probed
        .map(|Planned { function, distance, sites, .. }| Probed {
            symbol: function.symbol,
            distance,
            sites,
        })
        .collect()
}

/// The function's first [`CODE_MAX`] bytes, or all of it.
fn read_code(file: &File, place: Place) -> io::Result<Code> {
    let length = place.length.min(CODE_MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..)
        && !rest.is_empty()
    {
        match file.read_at(rest, place.offset.saturating_add(read as u64))? {
            0 => break,
            more => read += more,
        }
    }
    let is_whole = place.is_whole && read as u64 == place.length;
    bytes.truncate(read);
    Ok(Code { bytes, is_whole })
}
