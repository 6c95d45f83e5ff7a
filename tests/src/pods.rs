//! Containers that are not weft's, as a kubelet would have started them.
//!
//! In: a name as `namespace/pod/container`. Out: the fixture server in the namespace of another containerd client, in
//! the host's network, below the watched cgroup, with a pod's labels. It goes with its containerd.
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};

use crate::agent::Agent;
use crate::containerd::Unpack;
use crate::http::http_get;
use crate::image::segment_image;
use crate::wait::wait_for;

const NAMESPACE: &str = "k8s.io";
const IMAGE: &str = "pods/segment:1";
const READY: std::time::Duration = std::time::Duration::from_secs(90);

impl Agent {
    /// Imports the fixture server for pods.
    ///
    /// # Errors
    /// As [`segment_image`] and `ctr images import`.
    pub fn import_for_pods(&self) -> Result<()> {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images");
        let archive = self.place().directory().join("pods.tar");
        segment_image(IMAGE, &cache)?.build(&cache, &archive)?;
        self.containerd()?.import(NAMESPACE, &archive, Unpack::Now)
    }

    /// Starts a container called `namespace/pod/container` and waits until it answers.
    ///
    /// # Errors
    /// As `ctr run`, or when it does not answer.
    pub fn start_pod(&self, name: &str, env: &[(&str, &str)]) -> Result<SocketAddr> {
        let [pod_namespace, pod, container] = name.split('/').collect::<Vec<_>>()[..] else {
            anyhow::bail!("`{name}` is not namespace/pod/container")
        };
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let containerd = self.containerd()?;
        let root = containerd.runc_root();
        let cgroup = format!("/{}/pods/{pod}", self.place().name());
        let labels = [
            format!("io.kubernetes.pod.namespace={pod_namespace}"),
            format!("io.kubernetes.pod.name={pod}"),
            format!("io.kubernetes.container.name={container}"),
        ];
        let port = address.port().to_string();
        let mut variables: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        variables.push(format!("PORT={port}"));
        let mut arguments = vec!["--namespace", NAMESPACE, "run", "--detach", "--net-host"];
        arguments.extend(["--runc-root", root.to_str().context("the root's path is no UTF-8")?]);
        arguments.extend(["--cgroup", &cgroup]);
        arguments.extend(labels.iter().flat_map(|label| ["--label", label]));
        arguments.extend(variables.iter().flat_map(|variable| ["--env", variable]));
        arguments.extend([IMAGE, pod]);
        containerd.ctr(&arguments)?;
        wait_for(&format!("{name} to answer"), READY, || http_get(address, "/ready", &[]).is_ok())?;
        Ok(address)
    }
}
