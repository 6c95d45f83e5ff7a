//! The container that the chart describes does the agent's whole work, with the rights that the chart gives it and none
//! besides.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use weft_tests::cgroup::Subtree;
use weft_tests::containerd::{PrivateContainerd, Unpack};
use weft_tests::helm::{Rendered, Renderer};
use weft_tests::image::segment_image;
use weft_tests::node::{Node, Pod};

fn cache(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Everything a pod needs: dropped in this order, so that what uses another goes first.
struct Cluster {
    pod: Pod,
    rendered: Rendered,
    containerd: PrivateContainerd,
    subtree: Subtree,
    node: Node,
}

impl Cluster {
    /// Defaults but for places: a test's folders, containerd and part of the cgroups are its own.
    fn start(name: &str) -> Result<Self> {
        let name = format!("weft-{name}-{}", std::process::id());
        let directory = Path::new("/run").join(&name);
        let containerd = PrivateContainerd::start(&directory)?;
        let archive = directory.join("images.tar");
        segment_image("shop/cart:1", &cache("images"))?.build(&cache("images"), &archive)?;
        containerd.import("weft", &archive, Unpack::Now)?;
        let (node, subtree) = (Node::make(&name)?, Subtree::make(&name)?);
        let values = format!(
            "config: {{agent: {{socket: {0}/run/weft.sock, state: {0}/learned, cgroup: {1}}}, \
             containerd: {{address: {2}, runc_root: {3}}}}}\n\
             segments: {{cart: {{image: shop/cart:1, port: 8080, address: '10.96.0.12:80'}}}}",
            directory.display(),
            subtree.directory().display(),
            containerd.address().display(),
            containerd.runc_root().display(),
        );
        let rendered = Renderer::build(&cache("helm"))?.render(&values, "1.33.0")?;
        let pod = Pod::run(&rendered, &directory, &node, &subtree, &containerd)?;
        let mut this = Self { pod, rendered, containerd, subtree, node };
        let container = this.rendered.only("DaemonSet")?["spec"]["template"]["spec"]["containers"][0].clone();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            this.pod.probed(&container[probe], &this.node, &this.subtree)?;
        }
        Ok(this)
    }

    fn call(&self) -> Result<String> {
        let (status, body) = self.node.get(&self.subtree, "kubepods/other/web", "http://10.96.0.12/")?;
        ensure!(status == 200, "{status}: {body}\n{}", self.pod.log());
        Ok(body)
    }
}

#[test]
fn four_capabilities_and_no_mount_suffice_to_make_serve_and_remove_instances() -> Result<()> {
    let mut cluster = Cluster::start("chart")?;
    // NET_ADMIN is 12, SYS_ADMIN 21, PERFMON 38, BPF 39: see capabilities(7).
    let four: u64 = 1 << 12 | 1 << 21 | 1 << 38 | 1 << 39;
    assert_eq!(u64::from_str_radix(&cluster.pod.status("CapEff")?, 16)?, four);
    assert_eq!(
        (cluster.pod.status("NoNewPrivs")?.as_str(), cluster.pod.status("Seccomp")?.as_str()),
        ("1", "2")
    );

    let first = cluster.call()?;
    assert!(first.contains("\"requests\":1"), "{first}");
    let second = cluster.call()?;
    assert!(second.contains("\"requests\":2"), "the same instance: {second}");
    let config = &cluster.rendered.only("ConfigMap")?["data"]["weft.toml"];
    let socket = config.as_str().and_then(|text| text.split("socket = \"").nth(1)?.split('"').next());
    let status = cluster.pod.exec(&["weft", "status", "--socket", socket.context("a socket")?])?;
    assert!(status.contains("cart") && status.contains("containerd answers"), "{status}");

    let ended = cluster.pod.terminate()?;
    assert!(ended.success(), "{ended}: {}", cluster.pod.log());
    assert_eq!(cluster.containerd.ctr(&["--namespace", "weft", "containers", "ls", "-q"])?, "");
    Ok(())
}
