//! What all VMs of a node have in common. In: the configuration. Out: the accelerator, the guest's first files, and the
//! digests that name them. Refuses a machine on which no VM can run, with what is missing. Found out once, at the first VM.
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::arguments::{Launch, Origin};
use super::key::hex;
use super::machine::{Accelerator, processor};
use super::modules::Modules;
use super::shape::VmShape;
use super::store::Store;
use super::vm::{Host, Vm};
use super::{Acceleration, QemuConfig, VmError, fresh_name, initramfs};

/// A guest in KVM is at its first process in less than a second; one that spins is never.
const TRIAL: Duration = Duration::from_secs(10);
/// The user of a trial's QEMU.
const TRIAL_USER: u32 = super::USERS_FIRST;

/// What is known.
#[derive(Debug, Clone)]
pub(super) struct Platform {
    pub(super) accelerator: Accelerator,
    pub(super) processor: String,
    /// QEMU's own words.
    pub(super) version: String,
    pub(super) initramfs: PathBuf,
    /// Digest of kernel, modules and first process.
    pub(super) kernel: String,
    /// Whether a guest may be restored more than once: only one that learns of it has random numbers of its own.
    pub(super) restorable: bool,
}

impl Platform {
    /// Finds out.
    pub(super) async fn find(config: &QemuConfig, host: &Host, store: &Store) -> Result<Self, VmError> {
        let version = version(config).await?;
        let modules = Modules::read(&config.modules)?;
        let packed = initramfs::pack(&modules.in_order()?)?;
        let mut hasher = Sha256::new();
        hasher.update(fs::read(&config.kernel).map_err(VmError::file(&config.kernel))?);
        hasher.update(&packed);
        let kernel = hex(&hasher.finalize());
        let name = format!("{kernel}.initramfs");
        let initramfs = match store.find(&name) {
            Some(path) => path,
            None => {
                let part = store.unfinished(&name, &fresh_name());
                fs::write(&part, packed).map_err(VmError::file(&part))?;
                store.finish(&part, &name)?
            }
        };
        let restorable = modules.knows_generations();
        if !restorable {
            tracing::warn!(
                kernel = %config.kernel.display(),
                "no snapshots of VMs: this kernel has no driver `vmgenid`, so that all VMs of one snapshot would have \
                 the same random numbers; Debian's linux-image-amd64 has it"
            );
        }
        let mut platform = Self {
            accelerator: Accelerator::Tcg,
            processor: String::new(),
            version,
            initramfs,
            kernel,
            restorable,
        };
        platform.accelerate(config, host).await?;
        platform.processor = processor(platform.accelerator);
        Ok(platform)
    }

    async fn accelerate(&mut self, config: &QemuConfig, host: &Host) -> Result<(), VmError> {
        if !config.acceleration.tries_kvm() {
            return Ok(());
        }
        match self.trial(config, host).await {
            Ok(()) => self.accelerator = Accelerator::Kvm,
            Err(error) if config.acceleration == Acceleration::Kvm => return Err(error),
            Err(error) => tracing::info!(%error, "KVM does not work here; VMs run in TCG"),
        }
        Ok(())
    }

    /// Boots a guest in KVM up to its first word.
    async fn trial(&self, config: &QemuConfig, host: &Host) -> Result<(), VmError> {
        let name = fresh_name();
        let directory = config.directory.join(&name);
        let launch = Launch {
            name: &name,
            directory: &directory,
            accelerator: Accelerator::Kvm,
            shape: VmShape::trial(),
            kernel: &config.kernel,
            initramfs: &self.initramfs,
            disk: None,
            origin: Origin::Boot,
            user: TRIAL_USER,
        };
        let vm = Vm::launch(host, &launch, None).await?;
        let tried = async {
            vm.qmp.resume().await?;
            vm.guest.wait("the trial boot in KVM", TRIAL, |standing| standing.hello).await
        };
        let tried = tried.await.map(drop);
        vm.destroy(host).await?;
        tried
    }
}

async fn version(config: &QemuConfig) -> Result<String, VmError> {
    if std::env::consts::ARCH != "x86_64" {
        let said = format!("weft runs VMs on x86_64 alone, and this is {}", std::env::consts::ARCH);
        return Err(VmError::Failed { program: "qemu", said });
    }
    let asked = Command::new(&config.program).arg("--version").stdin(Stdio::null()).output().await;
    let failed =
        |source| VmError::Program { program: config.program.clone(), package: "qemu-system-x86", source };
    let output = asked.map_err(failed)?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}
