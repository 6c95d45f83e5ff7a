//! Attaching. In: loaded objects and a cgroup. Out: links that hold until they are dropped.

use std::fs::File;

use aya::programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, Program};
use aya::{Ebpf, EbpfLoader};

use super::KernelError;

/// The programs, built from `ebpf/probes`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/weft-probes"));

const CONNECTS: [&str; 4] =
    ["redirect_connect4", "redirect_connect6", "redirect_getpeername4", "redirect_getpeername6"];

/// Keeps programs attached; dropping it detaches them.
pub struct Links {
    /// Holds the cgroup programs with their links.
    _object: Ebpf,
    _sockets: [libbpf_rs::Link; 2],
}

pub(super) fn object(capture_ring_bytes: u32) -> Result<Ebpf, KernelError> {
    load(OBJECT, capture_ring_bytes)
}

fn load(bytes: &[u8], capture_ring_bytes: u32) -> Result<Ebpf, KernelError> {
    let mut loader = EbpfLoader::new();
    loader.map_max_entries("SEGMENTS", capture_ring_bytes);
    loader.load(bytes).map_err(|error| KernelError::Load { said: Box::new(error) })
}

impl Links {
    pub(super) fn attach(
        mut object: Ebpf,
        sockets: [libbpf_rs::Link; 2],
        folder: &File,
    ) -> Result<Self, KernelError> {
        // Redirects before capture: a request is never seen headed for where it does not go.
        for name in CONNECTS {
            connect(&mut object, name, folder)?;
        }
        skb(&mut object, "capture_egress", CgroupSkbAttachType::Egress, folder)?;
        skb(&mut object, "capture_ingress", CgroupSkbAttachType::Ingress, folder)?;
        Ok(Self { _object: object, _sockets: sockets })
    }
}

fn program<'a, P>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, KernelError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = aya::programs::ProgramError>,
{
    let program = object.program_mut(name).ok_or(KernelError::Absent(name))?;
    program.try_into().map_err(|said| KernelError::Program { name, said: Box::new(said) })
}

fn connect(object: &mut Ebpf, name: &'static str, folder: &File) -> Result<(), KernelError> {
    let failed = |said| KernelError::Program { name, said: Box::new(said) };
    let program: &mut CgroupSockAddr = program(object, name)?;
    program.load().map_err(failed)?;
    program.attach(folder, CgroupAttachMode::Single).map_err(failed)?;
    Ok(())
}

fn skb(
    object: &mut Ebpf,
    name: &'static str,
    attach_type: CgroupSkbAttachType,
    folder: &File,
) -> Result<(), KernelError> {
    let failed = |said| KernelError::Program { name, said: Box::new(said) };
    let program: &mut CgroupSkb = program(object, name)?;
    program.load().map_err(failed)?;
    program.attach(folder, attach_type, CgroupAttachMode::Single).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The programs with every `exit` made a `goto` to what follows: the last one leads out of the program.
    fn endless() -> Vec<u8> {
        let (exit, on) = (0x95_u64.to_le_bytes(), 0x05_u64.to_le_bytes());
        let words = OBJECT.chunks(8).map(|word| if word == exit { &on[..] } else { word });
        words.flatten().copied().collect()
    }

    #[test]
    fn what_the_verifier_objects_to_is_told_in_one_line_and_not_again_by_the_cause() {
        // Without root the kernel does not even look at it; that is one line too.
        let refused = load(&endless(), 1 << 16).and_then(|mut object| {
            let program: &mut CgroupSockAddr = program(&mut object, CONNECTS[0])?;
            program.load().map_err(|said| KernelError::Program { name: CONNECTS[0], said: Box::new(said) })
        });
        let error = anyhow::Error::from(refused.expect_err("no program ends by itself"));
        let text = crate::cli::told(&error.context("the kernel programs"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!rustix::process::geteuid().is_root() || text.contains("the verifier says: "), "{text}");
    }
}
