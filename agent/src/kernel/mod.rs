//! The one door to aya and libbpf-rs.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
pub const MARK: u32 = 0x7765_6674;
pub const SYSCALLS: usize = 512;
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct KernelError;
pub struct KernelOptions { pub cgroup: PathBuf, pub capture_ring_bytes: u32 }
pub struct Links;
pub struct Kernel { pub captures: CaptureRing, pub listens: ListenRing, pub routes: RouteTable, pub connections: Connections, pub syscalls: SyscallProfiles, pub counters: KernelCounters, pub links: Links }
impl Kernel { pub fn load(_: &KernelOptions) -> Result<Self, KernelError> { Err(KernelError) } }
pub struct CapturedSegment { pub at_ns: u64, pub client: SocketAddr, pub server: SocketAddr, pub client_cgroup: u64, pub server_cgroup: u64, pub seq: u32, pub segment_len: u32, pub payload: Vec<u8>, pub flags: u32 }
impl CapturedSegment { pub fn is_proxied(&self)->bool { false } }
pub struct CaptureRing;
impl CaptureRing { pub async fn next(&mut self) -> Result<CapturedSegment, KernelError> { Err(KernelError) } }
pub struct Listening { pub cgroup_id: u64, pub port: u16, pub at_ns: u64 }
pub struct ListenRing;
impl ListenRing { pub async fn next(&mut self) -> Result<Listening, KernelError> { Err(KernelError) } }
#[derive(Clone)]
pub struct RouteTable;
pub struct RouteKey { pub caller: Option<u64>, pub dial: SocketAddr }
impl RouteTable { pub fn set(&self, _: &RouteKey, _: &[SocketAddr]) -> Result<(), KernelError> { Ok(()) } pub fn remove(&self, _: &RouteKey) -> Result<(), KernelError> { Ok(()) } }
#[derive(Clone)]
pub struct Connections;
impl Connections { pub fn watch(&self, _: u64, _: u16) -> Result<(), KernelError> { Ok(()) } pub fn unwatch(&self, _: u64) {} pub fn open(&self, _: u64) -> u32 { 0 } }
#[derive(Clone)]
pub struct SyscallProfiles;
impl SyscallProfiles { pub fn track(&self, _: u64) -> Result<(), KernelError> { Ok(()) } pub fn untrack(&self, _: u64) {} pub fn read(&self, _: u64) -> Result<Vec<u64>, KernelError> { Ok(vec![]) } }
pub fn syscall_name(_: usize) -> String { String::new() }
#[derive(Clone)]
pub struct KernelCounters;
impl KernelCounters { pub fn captured(&self) -> u64 { 0 } pub fn capture_drops(&self) -> u64 { 0 } pub fn redirected(&self) -> u64 { 0 } pub fn passed(&self) -> u64 { 0 } }
pub fn cgroup2_mount() -> Result<PathBuf, KernelError> { Err(KernelError) }
pub fn cgroup_id(_: &Path) -> Result<u64, KernelError> { Err(KernelError) }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureState { Supported, Missing }
pub struct Feature { pub name: &'static str, pub state: FeatureState, pub detail: String, pub remedy: String }
pub fn probe() -> Vec<Feature> { vec![] }
