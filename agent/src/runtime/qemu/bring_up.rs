//! From a launched VM to one that serves. In: a VM whose network is there. Out: a program that listens under its instance's
//! address, and a snapshot of it for the next of its kind. Refuses a guest that fails: its VM is ended, and the end is told
//! like any other.
use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::rand::GetRandomFlags;
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;
use tokio::time::timeout;
use weft_init::protocol::{Identity, Network, ToGuest};

use super::arguments::TAP;
use super::make::snapshot_name;
use super::qmp::late;
use super::{Came, Inner, Plan, Vm, VmError, VmSignal, fresh_name};
use crate::runtime::Snapshots;
use crate::weave::network::tap;

/// A guest without KVM on a busy machine takes half a minute to its first process; whoever waits for its instance gives up
/// earlier, and removes it.
pub(super) const BOOT: Duration = Duration::from_secs(120);
/// The program itself, after that.
pub(super) const LISTEN: Duration = Duration::from_secs(600);
/// A restored guest has nothing to do but this.
pub(super) const BECOME: Duration = Duration::from_secs(30);
const SAVE: Duration = Duration::from_secs(60);
const CHUNK: usize = 1 << 20;
/// Below the VM's folder, and QEMU's own place is there.
const SAVE_SOCKET: &str = "save";

/// Joins the VM with its instance's network and lets it run. The rest is done by a task, which tells by a signal that the
/// program listens.
pub(super) async fn begin(inner: &Arc<Inner>, mut plan: Plan, vm: Arc<Vm>) -> Result<(), VmError> {
    let joined = tap::join(&plan.record.netns, vm.pid, TAP, plan.machine.bandwidth_bits).await?;
    plan.record.started = true;
    plan.record.write(&vm.folder)?;
    vm.qmp.resume().await?;
    let network = Network {
        mac: joined.mac,
        ip: plan.record.ip,
        prefix_len: inner.config.prefix_len,
        gateway: inner.config.gateway,
    };
    let identity = identity(Some(network), &plan.hostname);
    let inner = inner.clone();
    tokio::spawn(async move {
        let listening = match plan.came {
            Came::Boot => inner.boot(&plan, &vm, identity).await,
            Came::Restored => become_who(&vm, identity).await,
        };
        match listening {
            Ok(()) => {
                inner.tell(VmSignal::Listening { cgroup_id: vm.cgroup.id, port: plan.record.port }).await
            }
            Err(error) => {
                tracing::warn!(instance = plan.record.id, %error, said = vm.said().trim(), "its VM is of no use");
                vm.kill();
            }
        }
    });
    Ok(())
}

/// Asks a VM from before how things stand.
pub(super) fn ask(inner: &Arc<Inner>, port: u16, vm: Arc<Vm>) {
    let inner = inner.clone();
    tokio::spawn(async move {
        let asked = async {
            vm.guest.say(&ToGuest::Tell).await?;
            vm.guest.wait("the program's port", LISTEN, |standing| standing.listening).await
        };
        match asked.await {
            Ok(_) => inner.tell(VmSignal::Listening { cgroup_id: vm.cgroup.id, port }).await,
            Err(error) => {
                tracing::warn!(vm = vm.name, %error, "a VM from before does not say how things stand")
            }
        }
    });
}

/// Makes the guest of a restored VM somebody.
pub(super) async fn become_who(vm: &Vm, identity: Identity) -> Result<(), VmError> {
    let before = vm.guest.standing().borrow().became;
    vm.guest.say(&ToGuest::Become(identity)).await?;
    vm.guest.wait("the guest's new identity", BECOME, |standing| standing.became > before).await.map(drop)
}

/// Has the guest of a VM that is nobody's do what it will do first as somebody: its card leads nowhere yet.
pub(super) async fn rehearse(vm: &Vm) -> Result<(), VmError> {
    let before = vm.guest.standing().borrow().became;
    let [ip, gateway] = [Ipv4Addr::new(169, 254, 1, 2), Ipv4Addr::new(169, 254, 1, 1)];
    let network = Network { mac: [2, 0, 0, 0, 0, 1], ip, prefix_len: 30, gateway };
    vm.guest.say(&ToGuest::Rehearse(network)).await?;
    vm.guest.wait("the guest's rehearsal", BECOME, |standing| standing.became > before).await.map(drop)
}

/// Who a guest is to be, at this moment.
pub(super) fn identity(network: Option<Network>, hostname: &str) -> Identity {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut entropy = [0; 32];
    // The guest has its own source beside these.
    let _ = rustix::rand::getrandom(&mut entropy, GetRandomFlags::empty());
    Identity {
        network,
        hostname: hostname.to_owned(),
        unix_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        entropy: entropy.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

impl Inner {
    /// From the first instruction to a program that listens; the first of its kind leaves a snapshot.
    pub(super) async fn boot(&self, plan: &Plan, vm: &Vm, identity: Identity) -> Result<(), VmError> {
        vm.guest.wait("the boot of the VM", BOOT, |standing| standing.hello).await?;
        vm.guest.say(&ToGuest::Boot { program: plan.program.clone(), identity }).await?;
        vm.guest.wait("the program's port", LISTEN, |standing| standing.listening).await?;
        self.save_once(plan, vm).await
    }

    /// Before any request: nobody's data is in it. A snapshot that cannot be written costs the next one its boot.
    async fn save_once(&self, plan: &Plan, vm: &Vm) -> Result<(), VmError> {
        let name = snapshot_name(plan);
        let allowed = plan.machine.snapshots == Snapshots::Taken && self.platform().await?.restorable;
        let wanted = allowed && self.store.find(&name).is_none();
        if !wanted || !self.books().saving.insert(plan.key.clone()) {
            return Ok(());
        }
        vm.qmp.pause().await?;
        let part = self.store.unfinished(&name, &fresh_name());
        let saved = save(vm, &part).await.and_then(|()| self.store.finish(&part, &name));
        self.books().saving.remove(&plan.key);
        if let Err(error) = saved {
            tracing::warn!(segment = plan.record.segment, %error, "no snapshot; the next one boots too");
            // What is left of it is cleared at the next start.
            let _ = fs::remove_file(part);
        }
        vm.qmp.resume().await
    }

    /// Waits while the reader is slow; one that is gone needs no signals.
    pub(super) async fn tell(&self, signal: VmSignal) {
        let _ = self.signals.send(signal).await;
    }
}

/// Writes the state of a stopped VM to a file, its checksum at the end. QEMU sends it over a socket: it may neither open
/// files of the node's nor start a program.
async fn save(vm: &Vm, part: &Path) -> Result<(), VmError> {
    let path = vm.folder.join(SAVE_SOCKET);
    let listener = UnixListener::bind(&path).map_err(VmError::file(&path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).map_err(VmError::file(&path))?;
    // A file of somebody's memory.
    let mut file = File::options().create_new(true).write(true).open(part).map_err(VmError::file(part))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(VmError::file(part))?;
    vm.qmp.save(Path::new(SAVE_SOCKET)).await?;
    let copied = timeout(SAVE, copy(listener, &mut file)).await;
    copied.map_err(|_| late("saving the guest's state", SAVE))?.map_err(VmError::file(part))?;
    // The next may come.
    let _ = fs::remove_file(&path);
    vm.qmp.saved().await
}

async fn copy(listener: UnixListener, file: &mut File) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    let mut hasher = crc32fast::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return file.write_all(&hasher.finalize().to_le_bytes());
        }
        hasher.update(&chunk[..length]);
        file.write_all(&chunk[..length])?;
    }
}
