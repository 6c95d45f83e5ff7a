//! A node and a rendered pod on it, without a kubelet.
//!
//! In: what a chart renders. Out: the pod's one container, run by runc as containerd's CRI
//! has it run: the runtime's seccomp profile, masked and read-only paths, a cgroup namespace, the pod's capabilities and
//! mounts and no others, in the network of a node of its own. Dropping it leaves nothing. Refuses a pod with more than
//! one container, and volumes that are neither folders of the node nor a ConfigMap.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::binary;
use crate::cgroup::Subtree;
use crate::containerd::{PrivateContainerd, run};
use crate::helm::Rendered;
use crate::wait::{wait_for, wait_for_some};

/// How long a probe may fail, and a container take to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// A network namespace that stands for a node's network.
#[derive(Debug)]
pub struct Node(String);

impl Node {
    /// Makes it, with loopback up.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn make(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let this = Self(name.to_owned());
        run(Command::new("ip").args(["-netns", name, "link", "set", "lo", "up"]))?;
        Ok(this)
    }

    /// Asks for a page from the node's network, from within the child `child` of a subtree; answers with its status and
    /// body.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn get(&self, subtree: &Subtree, child: &str, url: &str) -> Result<(u16, String)> {
        const ASK: &str = "import sys, urllib.request, urllib.error\n\
            try: answer = urllib.request.urlopen(sys.argv[1], timeout=20)\n\
            except urllib.error.HTTPError as error: answer = error\n\
            print(answer.status); print(answer.read().decode())";
        let mut ask = subtree.command(child, Path::new("ip"))?;
        ask.args(["netns", "exec", &self.0, "python3", "-c", ASK, url]);
        let said = run(&mut ask)?;
        let (status, body) = said.split_once('\n').context("a status and a body")?;
        Ok((status.parse()?, body.trim().to_owned()))
    }

    fn path(&self) -> String {
        format!("/run/netns/{}", self.0)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("ip").args(["netns", "delete", &self.0])) {
            eprintln!("left behind: {error:#}");
        }
    }
}

/// A running container of a pod.
#[derive(Debug)]
pub struct Pod {
    directory: PathBuf,
    process: Child,
}

impl Pod {
    /// Runs the container of the only DaemonSet; its image holds the program that it calls, as it was built here. Its
    /// files are kept in `directory`; its cgroup lies where the kubelet's would, below the subtree.
    ///
    /// # Errors
    /// When the program was not built, for what cannot be translated, or what runc said.
    pub fn run(
        rendered: &Rendered,
        directory: &Path,
        node: &Node,
        subtree: &Subtree,
        containerd: &PrivateContainerd,
    ) -> Result<Self> {
        let spec = &rendered.only("DaemonSet")?["spec"]["template"]["spec"];
        let [container] = spec["containers"].as_array().context("containers")?.as_slice() else {
            bail!("one container: {}", spec["containers"]);
        };
        let bundle = directory.join("bundle");
        root_file_system(&bundle.join("rootfs"), container["command"][0].as_str().context("a command")?)?;
        let mut config = defaults(container, containerd)?;
        config["process"]["args"] = words(&container["command"])?.chain(words(&container["args"])?).collect();
        config["process"]["env"] = environment(container)?;
        let user = &spec["securityContext"];
        config["process"]["user"] = json!({ "uid": user["runAsUser"], "gid": user["runAsGroup"] });
        let mounts = config["mounts"].as_array_mut().context("mounts")?;
        // As the CRI does: what the pod mounts replaces what is there by default; the outer comes before the inner.
        let mut own = mounts_of(spec, container, rendered, directory)?;
        mounts.retain(|mount| {
            mount["destination"] != "/run" && own.iter().all(|one| one["destination"] != mount["destination"])
        });
        own.sort_by_key(|mount| mount["destination"].as_str().unwrap_or_default().matches('/').count());
        mounts.append(&mut own);
        let path = subtree.directory().file_name().context("a subtree's name")?;
        config["linux"]["cgroupsPath"] = json!(Path::new("/").join(path).join("kubepods/pod/weft"));
        config["linux"]["namespaces"] = namespaces(spec, node);
        config["linux"]["rootfsPropagation"] = json!("rslave");
        fs::write(bundle.join("config.json"), config.to_string())?;
        let log = fs::File::create(directory.join("pod.log"))?;
        let mut runc = runc(directory);
        runc.args(["run", "--bundle"]).arg(&bundle).arg("pod");
        let process =
            runc.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("start runc")?;
        Ok(Self { directory: directory.to_owned(), process })
    }

    /// Waits until an HTTP probe of the container succeeds, asked as the kubelet asks.
    ///
    /// # Errors
    /// When it does not, or the container has ended; the message holds the end of its log.
    pub fn probed(&mut self, probe: &Value, node: &Node, subtree: &Subtree) -> Result<()> {
        let get = &probe["httpGet"];
        let (host, path) = (get["host"].as_str().context("a host")?, get["path"].as_str().context("a path")?);
        let url = format!("http://{host}:{}{path}", get["port"]);
        let outcome = wait_for_some(&url, PATIENCE, || {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Some(Err(status));
            }
            node.get(subtree, "kubelet", &url)
                .is_ok_and(|(status, _)| (200..400).contains(&status))
                .then_some(Ok(()))
        });
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("the container ended, {status}: {}", self.log()),
            Err(error) => bail!("{error:#}: {}", self.log()),
        }
    }

    /// Runs a program inside, as `kubectl exec` does, and returns what it printed.
    ///
    /// # Errors
    /// What it, or runc, said.
    pub fn exec(&self, words: &[&str]) -> Result<String> {
        run(runc(&self.directory).args(["exec", "pod"]).args(words))
    }

    /// What `/proc` tells of its first process under a name, as `CapEff`.
    ///
    /// # Errors
    /// When it has ended, or nothing of that name is told.
    pub fn status(&self, name: &str) -> Result<String> {
        let state: Value = serde_json::from_str(&run(runc(&self.directory).args(["state", "pod"]))?)?;
        let status = fs::read_to_string(format!("/proc/{}/status", state["pid"]))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.with_context(|| name.to_owned())?.trim().to_owned())
    }

    /// Ends it as the kubelet does, with SIGTERM, and waits.
    ///
    /// # Errors
    /// When it does not end in 45 seconds.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        run(runc(&self.directory).args(["kill", "pod", "TERM"]))?;
        wait_for_some("the container to end", PATIENCE, || self.process.try_wait().ok().flatten())
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.join("pod.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // One that has ended is gone already: runc says so, and nothing is left.
        let _ = run(runc(&self.directory).args(["delete", "--force", "pod"]));
        let ended = wait_for("runc to end", PATIENCE, || {
            self.process.try_wait().is_ok_and(|status| status.is_some())
        });
        if let Err(error) = ended {
            eprintln!("left behind in {}: {error:#}", self.directory.display());
        }
    }
}

fn runc(directory: &Path) -> Command {
    let mut runc = Command::new("runc");
    runc.arg("--root").arg(directory.join("pods"));
    runc
}

/// The program, and the libraries that the loader says it needs.
fn root_file_system(root: &Path, name: &str) -> Result<()> {
    let program = binary(name)?;
    let bin = root.join("usr/bin");
    fs::create_dir_all(&bin)?;
    fs::copy(&program, bin.join(name)).with_context(|| format!("copy {}", program.display()))?;
    let libraries = run(Command::new("ldd").arg(program))?;
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = root.join(&library[1..]);
        fs::create_dir_all(copy.parent().context("a library's folder")?)?;
        fs::copy(library, copy)?;
    }
    Ok(())
}

/// What containerd gives every container, with the capabilities of this one: its seccomp profile depends on them.
fn defaults(container: &Value, containerd: &PrivateContainerd) -> Result<Value> {
    let context = &container["securityContext"];
    ensure!(
        context["capabilities"]["drop"] == json!(["ALL"]),
        "capabilities beside those that are added: {context}"
    );
    let mut capabilities = Vec::new();
    for word in words(&context["capabilities"]["add"])? {
        capabilities.push(format!("CAP_{}", word.as_str().context("a capability")?));
    }
    let mut create = vec!["containers", "create"];
    if context["seccompProfile"]["type"] == "RuntimeDefault" {
        create.push("--seccomp");
    }
    create.extend(capabilities.iter().flat_map(|capability| ["--cap-add", capability.as_str()]));
    let image = containerd.ctr(&["--namespace", "weft", "images", "ls", "-q"])?;
    create.extend([image.lines().next().context("an image to take for a model")?, "defaults"]);
    containerd.ctr(&[&["--namespace", "weft"], create.as_slice()].concat())?;
    let info = containerd.ctr(&["--namespace", "weft", "containers", "info", "defaults"])?;
    containerd.ctr(&["--namespace", "weft", "containers", "delete", "defaults"])?;
    let mut config = serde_json::from_str::<Value>(&info)?["Spec"].take();
    let sets = ["bounding", "effective", "permitted"].map(|set| (set.to_owned(), json!(capabilities)));
    config["process"]["capabilities"] = Value::Object(sets.into_iter().collect());
    config["process"]["noNewPrivileges"] = json!(context["allowPrivilegeEscalation"] == false);
    config["root"] = json!({ "path": "rootfs", "readonly": context["readOnlyRootFilesystem"] });
    Ok(config)
}

fn words(list: &Value) -> Result<impl Iterator<Item = Value> + use<>> {
    Ok(list.as_array().with_context(|| format!("a list: {list}"))?.clone().into_iter())
}

/// Fields of the pod are given as their names: nothing here has a node to be named after.
fn environment(container: &Value) -> Result<Value> {
    let mut lines = vec![json!("PATH=/usr/bin")];
    for variable in words(&container["env"])? {
        let name = variable["name"].as_str().context("a variable's name")?;
        let field = || variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
        let value = variable["value"].as_str().or_else(field).context("a variable's value")?;
        lines.push(json!(format!("{name}={value}")));
    }
    Ok(lines.into())
}

fn namespaces(spec: &Value, node: &Node) -> Value {
    let mut namespaces = vec![
        json!({ "type": "mount" }),
        json!({ "type": "ipc" }),
        json!({ "type": "uts" }),
        // As on nodes with cgroup v2 alone: the agent must find its way from within.
        json!({ "type": "cgroup" }),
    ];
    if spec["hostPID"] != true {
        namespaces.push(json!({ "type": "pid" }));
    }
    if spec["hostNetwork"] == true {
        namespaces.push(json!({ "type": "network", "path": node.path() }));
    } else {
        namespaces.push(json!({ "type": "network" }));
    }
    namespaces.into()
}

fn mounts_of(spec: &Value, container: &Value, rendered: &Rendered, directory: &Path) -> Result<Vec<Value>> {
    let mut mounts = Vec::new();
    for mount in words(&container["volumeMounts"])? {
        let volume =
            words(&spec["volumes"])?.find(|volume| volume["name"] == mount["name"]).context("a volume")?;
        let source = match volume["hostPath"]["path"].as_str() {
            Some(path) => PathBuf::from(path),
            None => config_map(&volume, rendered, &directory.join("config"))?,
        };
        if volume["hostPath"]["type"] == "DirectoryOrCreate" {
            fs::create_dir_all(&source)?;
        }
        let propagation = match mount["mountPropagation"].as_str() {
            None | Some("None") => "rprivate",
            Some("HostToContainer") => "rslave",
            // The API server takes it from privileged containers alone.
            other => bail!("{other:?} in a container that is not privileged"),
        };
        let access = if mount["readOnly"] == true { "ro" } else { "rw" };
        mounts.push(json!({
            "destination": mount["mountPath"], "type": "bind", "source": source,
            "options": ["rbind", propagation, access],
        }));
    }
    Ok(mounts)
}

fn config_map(volume: &Value, rendered: &Rendered, folder: &Path) -> Result<PathBuf> {
    let map = rendered.only("ConfigMap")?;
    ensure!(
        volume["configMap"]["name"] == map["metadata"]["name"],
        "a volume that is no ConfigMap's: {volume}"
    );
    fs::create_dir_all(folder)?;
    for (name, text) in map["data"].as_object().context("data")? {
        fs::write(folder.join(name), text.as_str().context("a text")?)?;
    }
    Ok(folder.to_owned())
}
