//! What TOML's types cannot say. In: a parsed configuration. Out: nothing, or the first thing wrong with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::{Config, ConfigError, Intake, Segment};
use crate::segments::SEGMENTS_MAX;

/// Characters of a segment's name: instance names are made from it and must fit a hostname label.
const NAME_LEN_MAX: usize = 40;
/// Bytes of an interface name on Linux.
const INTERFACE_LEN_MAX: usize = 15;

pub(super) fn value(path: &Path, key: &str, cause: String, remedy: &'static str) -> ConfigError {
    ConfigError::Value { path: path.into(), key: key.into(), cause, remedy }
}

pub(super) fn all(config: &Config, path: &Path) -> Result<(), ConfigError> {
    sections(config, path)?;
    if config.segments.len() > SEGMENTS_MAX {
        let cause = format!("{} segments", config.segments.len());
        return Err(value(path, "[[segment]]", cause, "One node serves at most 1024"));
    }
    let mut names = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for segment in &config.segments {
        one(config, segment, path)?;
        if names.insert(&segment.name, ()).is_some() {
            let key = format!("segment `{}`: name", segment.name);
            return Err(value(
                path,
                &key,
                "the name is used twice".into(),
                "Give each segment a name of its own",
            ));
        }
        if let Some(first) = addresses.insert(segment.address, &segment.name) {
            let key = format!("segment `{}`: address", segment.name);
            let cause = format!("{} is the address of `{first}` already", segment.address);
            return Err(value(path, &key, cause, "Give each segment an address of its own"));
        }
    }
    Ok(())
}

/// Whether a segment can be served beside others. Told by its name: it comes from no file.
pub(super) fn beside<'a>(
    config: &Config,
    segment: &Segment,
    others: impl Iterator<Item = &'a Segment>,
) -> Result<(), ConfigError> {
    let path = Path::new(&segment.name);
    one(config, segment, path)?;
    for other in others {
        let key = |key| format!("segment `{}`: {key}", segment.name);
        if other.name == segment.name {
            return Err(value(path, &key("name"), "the name is taken".into(), "Take another name"));
        }
        if other.address == segment.address {
            let cause = format!("{} is the address of `{}` already", segment.address, other.name);
            return Err(value(path, &key("address"), cause, "Give each segment an address of its own"));
        }
    }
    Ok(())
}

fn sections(config: &Config, path: &Path) -> Result<(), ConfigError> {
    let bridge = &config.network.bridge;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if bridge.is_empty() || bridge.len() > INTERFACE_LEN_MAX || !bridge.chars().all(plain) {
        let cause = format!("`{bridge}` is no interface name");
        return Err(value(
            path,
            "[network] bridge",
            cause,
            "Use 1 to 15 letters, digits, dashes or underscores",
        ));
    }
    if config.agent.drain > Duration::from_secs(3_600) {
        let cause = format!("{:?} is out of range", config.agent.drain);
        return Err(value(path, "[agent] drain", cause, "Use 0s to 1h"));
    }
    if config.containerd.namespace == "k8s.io" {
        let cause = "the namespace belongs to the kubelet, which removes what it does not know".to_owned();
        return Err(value(
            path,
            "[containerd] namespace",
            cause,
            "Use a namespace of weft's own, as \"weft\"",
        ));
    }
    if !(config.budget.cpu > 0.0 && config.budget.cpu <= 1024.0) {
        let cause = format!("{} cores cannot make anything", config.budget.cpu);
        return Err(value(path, "[budget] cpu", cause, "Give a number of cores above 0"));
    }
    intake(&config.intake, path)?;
    vm_runtime(config.vm.runtime.as_deref(), path)?;
    if !(Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&config.policy.keep_alive) {
        let cause = format!("{:?} is out of range", config.policy.keep_alive);
        return Err(value(path, "[policy] keep_alive", cause, "Use 1ms to 24h"));
    }
    Ok(())
}

fn intake(intake: &Intake, path: &Path) -> Result<(), ConfigError> {
    let wrong = |key: &str, cause: &str, remedy| {
        Err(value(path, &format!("[intake] {key}"), cause.to_owned(), remedy))
    };
    if intake.s3.is_some() && (intake.s3_access_key.is_none() || intake.s3_secret_file.is_none()) {
        let remedy = "Give s3_access_key and s3_secret_file, or leave s3 out";
        return wrong("s3", "an endpoint without keys would take code from everybody", remedy);
    }
    if !(intake.build_cpu > 0.0 && intake.build_cpu <= 1024.0) {
        return wrong("build_cpu", "nothing can be installed with that", "Give a number of cores above 0");
    }
    if intake.build_memory.0 < 64 << 20 {
        return wrong("build_memory", "no package manager runs in that", "Give at least 64MiB");
    }
    if intake.entries == 0 || intake.upload_size.0 == 0 || intake.unpacked_size.0 == 0 {
        return wrong("entries", "no upload would be taken", "Give sizes and a number of entries above 0");
    }
    if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&intake.build_time) {
        return wrong("build_time", "it is out of range", "Use 1s to 24h");
    }
    if !(Duration::from_millis(100)..=Duration::from_secs(30 * 86_400)).contains(&intake.resize) {
        return wrong("resize", "it is out of range", "Use 100ms to 30days");
    }
    Ok(())
}

/// containerd makes the name of a program of it, so no path may be hidden in it.
fn vm_runtime(runtime: Option<&str>, path: &Path) -> Result<(), ConfigError> {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match runtime {
        Some(name) if name.len() > 64 || name.split('.').count() < 2 || !name.split('.').all(is_word) => {
            let cause = format!("`{name}` is no runtime of containerd's");
            Err(value(
                path,
                "[vm] runtime",
                cause,
                "Use a name as \"io.containerd.kata.v2\", or leave it out",
            ))
        }
        _ => Ok(()),
    }
}

fn one(config: &Config, segment: &Segment, path: &Path) -> Result<(), ConfigError> {
    let name = &segment.name;
    let wrong = |key: &str, cause: String, remedy| {
        Err(value(path, &format!("segment `{name}`: {key}"), cause, remedy))
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
    if name.len() > NAME_LEN_MAX
        || !name.chars().all(plain)
        || !edge(name.chars().next())
        || !edge(name.chars().last())
    {
        let remedy = "Use 1 to 40 lower-case letters, digits and dashes, no dash at the ends";
        return wrong("name", "it would be no hostname".into(), remedy);
    }
    if segment.image.is_empty() || segment.image.len() > 255 || segment.image.contains(char::is_whitespace) {
        return wrong(
            "image",
            format!("`{}` is no image name", segment.image),
            "Write it as `ctr images ls` shows it",
        );
    }
    if segment.port == 0 || segment.address.port() == 0 {
        return wrong(
            "port",
            "port 0 cannot be dialled".into(),
            "Give the port on which the program listens",
        );
    }
    let own = matches!(segment.address.ip(), IpAddr::V4(ip) if config.network.subnet.contains(ip));
    if own || segment.address.ip().is_unspecified() || segment.address.ip().is_multicast() {
        let remedy = "Use the service's address, or one outside [network] subnet that nothing else answers";
        return wrong("address", format!("{} cannot stand for a segment", segment.address), remedy);
    }
    if segment.limits.memory.0 < 4 << 20 || segment.limits.concurrency == 0 {
        return wrong("limits", "nothing runs in that".into(), "Give at least 4MiB and a concurrency of 1");
    }
    if !(segment.limits.cpu > 0.0 && segment.limits.cpu <= 1024.0) {
        return wrong(
            "limits.cpu",
            format!("{} cores", segment.limits.cpu),
            "Give a number of cores above 0",
        );
    }
    if !(Duration::from_millis(10)..=Duration::from_secs(600)).contains(&segment.start_timeout()) {
        return wrong(
            "start_timeout",
            format!("{:?} is out of range", segment.start_timeout()),
            "Use 10ms to 10m",
        );
    }
    Ok(())
}
