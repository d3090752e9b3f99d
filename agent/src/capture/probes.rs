//! Puts probes on the functions of one file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use aya::Ebpf;
use aya::programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope};
use aya::programs::{ProgramError, UProbe};

use super::elf::Place;
use super::functions::Function;
use super::site::{Abilities, Code, Exits, Site, Sites};
use super::sockets::Sockets;
use super::status::Probed;

/// The most of a function that is looked at, in bytes. Those that are probed have a few hundred.
const CODE_MAX: u64 = 4096;

/// The probes on a file. Dropped in this order, so that no call is entered that won't be seen to
/// return.
#[derive(Default)]
pub(super) struct Probes {
    enter: Vec<UProbeLink>,
    leave: Vec<UProbeLink>,
}

/// What attaches them.
pub(super) struct Prober {
    ebpf: Ebpf,
    kernel: Abilities,
    sockets: Sockets,
}

/// A function, where it begins in the file, and where its probes go.
type Planned = (Function, u64, Sites);

impl Prober {
    pub(super) fn new(ebpf: Ebpf, kernel: Abilities) -> Self {
        Self { ebpf, kernel, sockets: Sockets::default() }
    }

    /// Has the probes shown which socket records come from and go to.
    pub(super) fn follow_sockets(&mut self) -> Result<(), ProgramError> {
        self.sockets.follow(&mut self.ebpf)
    }

    /// Attaches to all functions or to none.
    pub(super) fn attach(
        &mut self,
        file: &File,
        functions: &[(Function, Place)],
    ) -> Result<(Vec<Probed>, Probes), ProgramError> {
        let chosen = self.plan(file, functions);
        match self.attach_all(file, &chosen) {
            Ok(probes) => Ok((probed(chosen), probes)),
            // Whatever the kernel has against a site, it may have nothing against the first one.
            Err(error) => {
                tracing::debug!(%error, "the chosen sites were refused");
                let plain = functions.iter().map(|(function, place)| {
                    (*function, place.offset, Sites::plain(function.asked()))
                });
                let plain: Vec<Planned> = plain.collect();
                let probes = self.attach_all(file, &plain)?;
                Ok((probed(plain), probes))
            }
        }
    }

    fn plan(&self, file: &File, functions: &[(Function, Place)]) -> Vec<Planned> {
        let planned = functions.iter().map(|(function, place)| {
            let sites = match read_code(file, *place) {
                Ok(code) => Sites::choose(&code, function.asked(), self.kernel),
                Err(_unreadable) => Sites::plain(function.asked()),
            };
            (*function, place.offset, sites)
        });
        planned.collect()
    }

    /// Returns come first: a call that is seen to return without having been seen to be entered
    /// does no harm.
    fn attach_all(&mut self, file: &File, planned: &[Planned]) -> Result<Probes, ProgramError> {
        let mut probes = Probes::default();
        for (function, start, sites) in planned {
            let Some(leave) = function.leave else { continue };
            match &sites.exits {
                Exits::Unwatched => {}
                Exits::Returned => {
                    probes.leave.push(self.attach_at(leave.returned, file, *start, sites.entry)?);
                }
                Exits::At(exits) => {
                    for exit in exits {
                        probes.leave.push(self.attach_at(leave.exit, file, *start, *exit)?);
                    }
                }
            }
        }
        for (function, start, sites) in planned {
            if let Some(enter) = function.enter {
                probes.enter.push(self.attach_at(enter, file, *start, sites.entry)?);
            }
        }
        Ok(probes)
    }

    fn attach_at(
        &mut self,
        program: &'static str,
        file: &File,
        start: u64,
        site: Site,
    ) -> Result<UProbeLink, ProgramError> {
        let program = self.ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?;
        let program: &mut UProbe = program.try_into()?;
        // The descriptor is open for the length of this call, so the file that was searched is the
        // one that is probed.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let offset = start.saturating_add(u64::from(site.offset));
        let point = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(offset),
            // Without one the program reads 0.
            cookie: (self.kernel.cookies && site.displacement > 0)
                .then_some(u64::from(site.displacement)),
        };
        let link = program.attach(point, path, UProbeScope::AllProcesses)?;
        program.take_link(link)
    }
}

fn probed(planned: Vec<Planned>) -> Vec<Probed> {
    let probed = planned.into_iter();
    probed.map(|(function, _start, sites)| Probed { symbol: function.symbol, sites }).collect()
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
