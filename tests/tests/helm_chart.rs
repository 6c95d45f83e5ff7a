//! The chart installs: its manifests are Kubernetes', its configuration the agent's, its rights no wider than said.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weft::config::{Confidence, Config, Miss};
use weft_tests::helm::{Rendered, Renderer, Schemas, chart};

const DEFAULTS: &str = "{}";
const EVERYTHING: &str = include_str!("../fixtures/helm/everything.yaml");
const PRIVILEGED: &str = include_str!("../fixtures/helm/privileged.yaml");
const SEGMENTS: &str = include_str!("../fixtures/helm/segments.yaml");
const ALL: [&str; 4] = [DEFAULTS, EVERYTHING, PRIVILEGED, SEGMENTS];

/// The oldest that the chart allows, one between, and the newest that has schemas.
const VERSIONS: [&str; 3] = ["1.25", "1.30", "1.37"];

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm")
}

fn rendered_for(values: &str, kubernetes: &str) -> Result<Rendered> {
    static RENDERER: OnceLock<Result<Renderer, String>> = OnceLock::new();
    let renderer = RENDERER.get_or_init(|| Renderer::build(&cache()).map_err(|error| format!("{error:#}")));
    renderer.as_ref().map_err(|error| anyhow::anyhow!(error.clone()))?.render(values, kubernetes)
}

fn rendered(values: &str) -> Result<Rendered> {
    rendered_for(values, "1.33.0")
}

fn refusal(values: &str) -> String {
    format!("{:#}", rendered(values).expect_err(&format!("must be refused: {values}")))
}

fn pod(rendered: &Rendered) -> Result<Value> {
    Ok(rendered.only("DaemonSet")?["spec"]["template"].clone())
}

fn container(rendered: &Rendered) -> Result<Value> {
    let containers = pod(rendered)?["spec"]["containers"].clone();
    ensure!(containers.as_array().is_some_and(|all| all.len() == 1), "one container: {containers}");
    Ok(containers[0].clone())
}

/// The agent's view of a rendered ConfigMap, laid out as the kubelet mounts it: files are links into a folder that is
/// replaced as a whole.
fn load(rendered: &Rendered) -> Result<Config> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = cache().join(format!("config-{}-{number}", std::process::id()));
    let data = folder.join("..2026_01_02_03_04_05.123456789");
    fs::create_dir_all(&data)?;
    symlink(&data, folder.join("..data"))?;
    let files = rendered.only("ConfigMap")?["data"].as_object().context("data")?;
    for (name, text) in files {
        fs::write(data.join(name), text.as_str().context("a file's text")?)?;
        symlink(Path::new("..data").join(name), folder.join(name))?;
    }
    let config = Config::load(&folder);
    fs::remove_dir_all(&folder)?;
    Ok(config?)
}

#[test]
fn kubernetes_takes_what_is_rendered_from_any_set_of_values() -> Result<()> {
    let schemas = Schemas::install(&cache())?;
    for values in ALL {
        for version in VERSIONS {
            let rendered = rendered_for(values, version)?;
            let unknown = schemas.check(&rendered, version).with_context(|| values.to_owned())?;
            let monitors = if values == EVERYTHING { vec!["PodMonitor".to_owned()] } else { Vec::new() };
            assert_eq!(unknown, monitors, "of another's making");
        }
    }
    Ok(())
}

#[test]
fn the_schemas_refuse_a_field_that_kubernetes_does_not_know() -> Result<()> {
    let schemas = Schemas::install(&cache())?;
    let mut rendered = rendered(DEFAULTS)?;
    for manifest in &mut rendered.manifests {
        manifest.text = manifest.text.replace("hostPID: true", "hostPids: true");
    }
    let refusal = format!("{:#}", schemas.check(&rendered, "1.37").expect_err("an unknown field"));
    assert!(refusal.contains("hostPids") && refusal.contains("daemonset/weft"), "{refusal}");
    Ok(())
}

#[test]
fn a_cluster_older_than_the_chart_allows_is_refused() {
    let refusal = format!("{:#}", rendered_for(DEFAULTS, "1.24.9").expect_err("too old"));
    assert!(refusal.contains("kubeVersion") && refusal.contains("1.24.9"), "{refusal}");
}

#[test]
fn the_defaults_of_the_chart_are_those_of_the_agent() -> Result<()> {
    assert_eq!(format!("{:#?}", load(&rendered(DEFAULTS)?)?), format!("{:#?}", Config::default()));
    Ok(())
}

#[test]
fn the_agent_reads_every_section_as_it_is_set() -> Result<()> {
    let config = load(&rendered(EVERYTHING)?)?;
    assert_eq!(config.agent.state, Path::new("/srv/weft/state"));
    assert_eq!(config.agent.socket, Path::new("/run/other/weft.sock"));
    assert_eq!(config.agent.metrics, "0.0.0.0:19435".parse()?);
    assert_eq!(config.agent.cgroup.as_deref(), Some(Path::new("/sys/fs/cgroup/kubepods.slice")));
    assert!(!config.agent.weave);
    assert_eq!(config.containerd.address, Path::new("/var/run/containerd/containerd.sock"));
    assert_eq!(config.containerd.namespace, "weft-2");
    assert_eq!(config.containerd.snapshotter, "native");
    assert_eq!(config.containerd.runc_root.as_deref(), Some(Path::new("/run/runc-2")));
    assert_eq!(config.network.bridge, "br_weft-2");
    assert_eq!((config.network.subnet.base(), config.network.subnet.prefix()), ([192, 168, 0, 0].into(), 20));
    assert_eq!(config.budget.memory.0, 3_500_000_000);
    assert_eq!((config.budget.cpu, config.budget.instances), (2.5, 1_000_000));
    assert_eq!(config.policy.keep_alive, Duration::from_secs(5400));
    assert_eq!(config.policy.confidence, Confidence::Fixed(0.75));
    assert_eq!(config.segments.len(), 1);
    Ok(())
}

#[test]
fn the_agent_reads_every_segment_as_it_is_set() -> Result<()> {
    let config = load(&rendered(SEGMENTS)?)?;
    let names: Vec<_> = config.segments.iter().map(|segment| segment.name.as_str()).collect();
    assert_eq!(names, ["cart-2", "catalog", "frontend"]);
    let catalog = config.segment("catalog").context("catalog")?;
    assert_eq!(catalog.address, "10.96.0.12:80".parse()?);
    assert_eq!((catalog.miss, catalog.port, catalog.image.as_str()), (Miss::Pass, 8080, "shop/catalog:2"));
    let cart = config.segment("cart-2").context("cart-2")?;
    assert_eq!((cart.address, cart.port), ("[fd00::12]:8080".parse()?, 65_535));
    assert_eq!(cart.start_timeout(), Duration::from_secs(90));
    assert_eq!((cart.limits.memory.mib(), cart.limits.cpu, cart.limits.concurrency), (64, 0.25, 4));
    assert_eq!(cart.env["GREETING"], "say \"hi\" & <go> \\ # not a comment");
    assert_eq!(cart.env["MULTILINE"], "one\ntwo");
    assert_eq!((cart.env["EMPTY"].as_str(), cart.env["NUMBER"].as_str()), ("", "007"));
    Ok(())
}

#[test]
fn a_whole_confidence_and_an_ipv6_address_are_the_agents_too() -> Result<()> {
    let config = load(&rendered(PRIVILEGED)?)?;
    assert_eq!(config.policy.confidence, Confidence::Fixed(1.0));
    assert_eq!(config.agent.metrics, "[::]:9435".parse()?);
    Ok(())
}

/// The keys that the agent names when it meets one that it does not know.
fn keys_of_the_agent(table: &str) -> Result<BTreeSet<String>> {
    let file = cache().join(format!(
        "keys-{}-{}.toml",
        table.replace(['[', ']', '\n', '='], ""),
        std::process::id()
    ));
    fs::create_dir_all(cache())?;
    fs::write(&file, format!("{table}\nno_such_key = 1\n"))?;
    let refusal = Config::load(&file).expect_err("the key is unknown").to_string();
    fs::remove_file(file)?;
    let known = refusal.split_once("expected").with_context(|| refusal.clone())?.1;
    Ok(known.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

#[test]
fn the_schema_knows_exactly_the_keys_of_the_agent() -> Result<()> {
    let schema: Value = serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json"))?)?;
    let keys = |pointer: &str| -> Result<BTreeSet<String>> {
        let properties = schema.pointer(pointer).and_then(|table| table["properties"].as_object());
        Ok(properties.with_context(|| pointer.to_owned())?.keys().cloned().collect())
    };
    let with = |mut keys: BTreeSet<String>, key: &str| {
        keys.insert(key.to_owned());
        keys
    };
    let segment = schema["properties"]["segments"]["patternProperties"].as_object().context("segments")?;
    let pattern = segment.keys().next().context("a pattern for names")?.replace('/', "~1");
    let segment = format!("/properties/segments/patternProperties/{pattern}");

    // The name is the key in the map; metrics are a section of their own, since ports and probes follow from them. The
    // chart's container has none of the tools that make images of uploads, and no QEMU: it has no keys of either.
    let of_chart = with(with(with(keys("/properties/config")?, "segment"), "intake"), "vm");
    assert_eq!(of_chart, keys_of_the_agent("")?);
    assert_eq!(with(keys("/properties/config/properties/agent")?, "metrics"), keys_of_the_agent("[agent]")?);
    for section in ["containerd", "network", "budget", "policy"] {
        let of_schema = keys(&format!("/properties/config/properties/{section}"))?;
        assert_eq!(of_schema, keys_of_the_agent(&format!("[{section}]"))?);
    }
    let of_segment = with(with(with(keys(&segment)?, "name"), "snapshots"), "sized");
    assert_eq!(of_segment, keys_of_the_agent("[[segment]]")?);
    let limits = with(with(keys(&format!("{segment}/properties/limits"))?, "disk"), "bandwidth");
    assert_eq!(limits, keys_of_the_agent("[[segment]]\n[segment.limits]")?);
    Ok(())
}

#[test]
fn a_wrong_value_is_refused_and_the_key_is_named() {
    let segment = |key: &str, value: &str| {
        let mut keys = BTreeMap::from([("image", "a"), ("port", "80"), ("address", "'10.0.0.1:80'")]);
        keys.insert(key, value);
        let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        format!("segments: {{cart: {{{}}}}}", keys.join(", "))
    };
    let name = |name: &str| format!("segments: {{{name}: {{image: a, port: 80, address: '10.0.0.1:80'}}}}");
    let cases = [
        ("config: {budget: {memroy: 1GiB}}".to_owned(), "memroy"),
        ("imagePullPolicy: Always".to_owned(), "imagePullPolicy"),
        ("image: {tags: a}".to_owned(), "tags"),
        ("config: {budget: {memory: 1Gib}}".to_owned(), "config.budget.memory"),
        ("config: {budget: {memory: 1073741824}}".to_owned(), "config.budget.memory"),
        ("config: {budget: {cpu: 0}}".to_owned(), "config.budget.cpu"),
        ("config: {policy: {confidence: 1.4}}".to_owned(), "config.policy.confidence"),
        ("config: {policy: {confidence: always}}".to_owned(), "config.policy.confidence"),
        ("config: {policy: {keep_alive: 60}}".to_owned(), "config.policy.keep_alive"),
        ("config: {policy: {keep_alive: 60 seconds}}".to_owned(), "config.policy.keep_alive"),
        ("config: {network: {bridge: a-bridge-too-long}}".to_owned(), "config.network.bridge"),
        ("config: {network: {subnet: 10.201.0.0/30}}".to_owned(), "config.network.subnet"),
        ("config: {containerd: {namespace: k8s.io}}".to_owned(), "config.containerd.namespace"),
        ("config: {containerd: {address: containerd.sock}}".to_owned(), "config.containerd.address"),
        ("config: {agent: {cgroup: /kubepods}}".to_owned(), "config.agent.cgroup"),
        ("config: {agent: null}".to_owned(), "agent is required"),
        (name("Cart"), "Cart"),
        (name("cart-"), "cart-"),
        (name(&"a".repeat(41)), &"a".repeat(41)),
        ("segments: {cart: {image: a, port: 80}}".to_owned(), "segments.cart: address is required"),
        (segment("miss", "sometimes"), "segments.cart.miss"),
        (segment("isolation", "vm"), "segments.cart.isolation"),
        (segment("address", "'10.0.0.1'"), "segments.cart.address"),
        (segment("address", "'10.0.0.256:80'"), "segments.cart.address"),
        (segment("address", "'10.0.0.1:65536'"), "segments.cart.address"),
        (segment("port", "0"), "segments.cart.port"),
        (segment("limits", "{memory: 64MB/s}"), "segments.cart.limits.memory"),
        (segment("limits", "{concurrency: 0}"), "segments.cart.limits.concurrency"),
        (segment("env", "{A B: c}"), "A B"),
        (segment("env", "{A: 1}"), "segments.cart.env.A"),
        ("metrics: {address: localhost}".to_owned(), "metrics.address"),
        ("metrics: {port: 94350}".to_owned(), "metrics.port"),
        ("extraCapabilities: [CAP_SYS_RESOURCE]".to_owned(), "extraCapabilities.0"),
        ("extraCapabilities: [ALL]".to_owned(), "extraCapabilities.0"),
        ("terminationGracePeriodSeconds: 30".to_owned(), "terminationGracePeriodSeconds"),
        ("updateStrategy: {maxUnavailable: 0}".to_owned(), "updateStrategy.maxUnavailable"),
        ("resources: {limits: {memory: lots}}".to_owned(), "resources.limits.memory"),
        ("tolerations: [{operator: Exist}]".to_owned(), "tolerations.0.operator"),
    ];
    for (values, key) in cases {
        let refusal = refusal(&values);
        assert!(refusal.contains("schema") && refusal.contains(key), "{values}: {refusal}");
    }
}

#[test]
fn what_no_schema_can_say_is_refused_before_anything_is_installed() {
    let twice = "segments: {a: {image: a, port: 80, address: '10.0.0.1:80'}, b: {image: b, port: 80, address: '10.0.0.1:80'}}";
    let refused = refusal(twice);
    assert!(refused.contains("segments.b.address") && refused.contains("of a already"), "{refused}");
    let refused = refusal("metrics: {podMonitor: {enabled: true}}");
    assert!(
        refused.contains("metrics.podMonitor.enabled") && refused.contains("metrics.address"),
        "{refused}"
    );
}

#[test]
fn the_container_has_four_capabilities_and_no_privilege_unless_it_is_asked_for() -> Result<()> {
    for values in [DEFAULTS, SEGMENTS, EVERYTHING] {
        let context = &container(&rendered(values)?)?["securityContext"];
        assert_eq!(context["privileged"], false);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
        // Without CAP_ in front: the API server would take CAP_SYS_ADMIN for a contradiction to the above.
        let mut expected = vec!["BPF", "PERFMON", "NET_ADMIN", "SYS_ADMIN"];
        expected.extend((values == EVERYTHING).then_some("SYS_RESOURCE"));
        assert_eq!(context["capabilities"]["add"], json!(expected));
        let kind = if values == EVERYTHING { "Localhost" } else { "RuntimeDefault" };
        assert_eq!(context["seccompProfile"]["type"], kind);
    }
    Ok(())
}

#[test]
fn the_way_out_is_privileged_and_contradicts_itself_nowhere() -> Result<()> {
    let context = &container(&rendered(PRIVILEGED)?)?["securityContext"];
    assert_eq!(context, &json!({ "privileged": true, "readOnlyRootFilesystem": true }));
    Ok(())
}

#[test]
fn the_pod_is_in_the_nodes_network_and_process_ids_and_has_no_token() -> Result<()> {
    for values in ALL {
        let rendered = rendered(values)?;
        let spec = &pod(&rendered)?["spec"];
        assert_eq!((&spec["hostNetwork"], &spec["hostPID"]), (&json!(true), &json!(true)));
        assert_eq!(spec["automountServiceAccountToken"], false);
        let account = spec["serviceAccountName"].as_str().context("an account")?;
        match rendered.only("ServiceAccount") {
            Ok(made) => {
                assert_eq!(made["automountServiceAccountToken"], false);
                assert_eq!(made["metadata"]["name"], account);
            }
            Err(_) => assert_eq!((values, account), (PRIVILEGED, "default")),
        }
    }
    Ok(())
}

#[test]
fn all_that_the_configuration_names_is_mounted_and_writable_only_where_the_agent_writes() -> Result<()> {
    for values in ALL {
        let rendered = rendered(values)?;
        let config = load(&rendered)?;
        let containerd = config.containerd.address.parent().context("a folder")?;
        let expected = [
            ("/etc/weft".as_ref(), true),
            (config.agent.socket.parent().context("a folder")?, false),
            (config.agent.state.as_path(), false),
            (containerd, true),
            ("/sys/fs/cgroup".as_ref(), true),
        ];
        let (spec, container) = (pod(&rendered)?["spec"].clone(), container(&rendered)?);
        let mounts = container["volumeMounts"].as_array().context("mounts")?;
        assert_eq!(mounts.len(), expected.len());
        for (path, read_only) in expected {
            let mount = mounts.iter().find(|mount| mount["mountPath"].as_str().map(Path::new) == Some(path));
            let mount = mount.with_context(|| format!("{} is not mounted", path.display()))?;
            assert_eq!(mount["readOnly"].as_bool().unwrap_or(false), read_only, "{mount}");
            let volumes = spec["volumes"].as_array().context("volumes")?;
            let volume =
                volumes.iter().find(|volume| volume["name"] == mount["name"]).context("its volume")?;
            // The same path on both sides: the node's runc and people on the node are told the agent's.
            assert_eq!(volume["hostPath"]["path"].as_str().map_or(path, Path::new), path);
        }
    }
    Ok(())
}

#[test]
fn unmounts_arrive_from_the_node_and_no_mount_goes_there() -> Result<()> {
    for values in ALL {
        let container = container(&rendered(values)?)?;
        for mount in container["volumeMounts"].as_array().context("mounts")? {
            // Or file systems of ended containers would stay in use here. Bidirectional would be refused by the API
            // server in a container that is not privileged, and nothing needs it.
            let expected = if mount["name"] == "containerd" { json!("HostToContainer") } else { Value::Null };
            assert_eq!(mount["mountPropagation"], expected, "{mount}");
        }
    }
    Ok(())
}

#[test]
fn probes_ask_the_metrics_port_where_it_is_listened_on() -> Result<()> {
    let cases = [
        ("127.0.0.1", "127.0.0.1", 9435),
        ("0.0.0.0", "127.0.0.1", 9435),
        ("::", "::1", 9435),
        ("::1", "::1", 19_435),
        ("10.0.0.7", "10.0.0.7", 1),
    ];
    for (address, host, port) in cases {
        let rendered = rendered(&format!("metrics: {{address: '{address}', port: {port}}}"))?;
        let container = container(&rendered)?;
        for (probe, path) in [("startup", "/readyz"), ("readiness", "/readyz"), ("liveness", "/healthz")] {
            let get = &container[format!("{probe}Probe")]["httpGet"];
            assert_eq!(get, &json!({ "host": host, "port": port, "path": path }));
        }
        let ports =
            json!([{ "name": "metrics", "containerPort": port, "hostPort": port, "protocol": "TCP" }]);
        assert_eq!(container["ports"], ports);
        assert_eq!(load(&rendered)?.agent.metrics.port(), port);
    }
    Ok(())
}

#[test]
fn prometheus_is_sent_only_where_it_can_reach() -> Result<()> {
    let port_told = |values: &str| -> Result<Value> {
        Ok(pod(&rendered(values)?)?["metadata"]["annotations"]["prometheus.io/port"].clone())
    };
    assert_eq!(port_told(DEFAULTS)?, Value::Null);
    assert_eq!(port_told("metrics: {address: 0.0.0.0, annotations: false}")?, Value::Null);
    assert_eq!(port_told("metrics: {address: '::', port: 1000}")?, "1000");
    assert!(rendered(DEFAULTS)?.only("PodMonitor").is_err());

    let rendered = rendered(EVERYTHING)?;
    let monitor = rendered.only("PodMonitor")?;
    let pod = pod(&rendered)?;
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], container(&rendered)?["ports"][0]["name"]);
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().context("a selector")? {
        assert_eq!(&pod["metadata"]["labels"][label], value);
    }
    Ok(())
}

#[test]
fn a_changed_configuration_and_nothing_else_changes_the_checksum() -> Result<()> {
    let checksum = |values: &str| -> Result<Value> {
        Ok(pod(&rendered(values)?)?["metadata"]["annotations"]["checksum/config"].clone())
    };
    let before = checksum(DEFAULTS)?;
    assert!(before.as_str().is_some_and(|sum| sum.len() == 64));
    assert_eq!(checksum("podLabels: {tier: node}")?, before);
    assert_ne!(checksum("config: {policy: {keep_alive: 61s}}")?, before);
    assert_ne!(checksum("segments: {a: {image: a, port: 80, address: '10.0.0.1:80'}}")?, before);
    Ok(())
}

#[test]
fn an_agent_has_time_to_drain() -> Result<()> {
    let spec = pod(&rendered(DEFAULTS)?)?["spec"].clone();
    let grace =
        Duration::from_secs(spec["terminationGracePeriodSeconds"].as_u64().context("a grace period")?);
    // Beside the instances' own: 5 s to store what was learned, 2 s each for calls and the runtime.
    assert!(grace >= weft::config::Agent::default().drain + Duration::from_secs(5 + 2 + 2), "{grace:?}");
    Ok(())
}

#[test]
fn an_agent_runs_on_every_linux_node_before_what_it_serves() -> Result<()> {
    let rendered = rendered(DEFAULTS)?;
    let spec = &pod(&rendered)?["spec"];
    assert_eq!(spec["nodeSelector"], json!({ "kubernetes.io/os": "linux" }));
    assert_eq!(spec["tolerations"], json!([{ "operator": "Exists" }]));
    assert_eq!(spec["priorityClassName"], "system-node-critical");
    let update = &rendered.only("DaemonSet")?["spec"]["updateStrategy"];
    // Two agents would want one socket, bridge and port.
    assert_eq!(update["rollingUpdate"]["maxSurge"], 0);
    let container = container(&rendered)?;
    assert_eq!(container["image"], "weft:0.1.0");
    assert_eq!(container["terminationMessagePolicy"], "FallbackToLogsOnError");
    assert_eq!(container["env"][0]["name"], "NODE_NAME");
    for bound in ["requests", "limits"] {
        assert!(
            container["resources"][bound]["memory"].is_string()
                && container["resources"][bound]["cpu"].is_string()
        );
    }
    Ok(())
}

#[test]
fn what_is_set_reaches_the_pod() -> Result<()> {
    let rendered = rendered(EVERYTHING)?;
    let (pod, container) = (pod(&rendered)?, container(&rendered)?);
    let digest = "0123456789abcdef".repeat(4);
    assert_eq!(container["image"], format!("images:5000/weft/agent@sha256:{digest}"));
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(pod["spec"]["imagePullSecrets"], json!([{ "name": "images" }]));
    assert_eq!(container["resources"]["limits"], json!({ "cpu": 4, "memory": "1Gi" }));
    let names: Vec<_> = container["env"].as_array().context("env")?.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["NODE_NAME", "WEFT_LOG", "RUST_BACKTRACE", "POD_IP"]);
    assert_eq!(container["env"][1]["value"], "info,weft::weave=debug");
    assert_eq!(
        (&pod["metadata"]["labels"]["tier"], &pod["metadata"]["annotations"]["note"]),
        (&json!("node"), &json!("everything"))
    );
    assert_eq!(pod["spec"]["priorityClassName"], "node-agents");
    assert_eq!(pod["spec"]["nodeSelector"], json!({ "pool": "shop", "kubernetes.io/os": "linux" }));
    assert_eq!(pod["spec"]["tolerations"][0]["tolerationSeconds"], 60);
    assert!(pod["spec"]["affinity"]["nodeAffinity"].is_object());
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 60);
    assert_eq!(
        rendered.only("DaemonSet")?["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"],
        "10%"
    );
    assert_eq!(rendered.only("DaemonSet")?["metadata"]["name"], "the-weft");
    Ok(())
}

#[test]
fn the_notes_say_what_to_do_next() -> Result<()> {
    let notes = rendered(DEFAULTS)?.notes;
    assert!(
        notes.contains("rollout status daemonset/weft") && notes.contains("No segment is configured"),
        "{notes}"
    );
    let notes = rendered(SEGMENTS)?.notes;
    assert!(
        notes.contains("cart-2, catalog, frontend") && notes.contains("/run/shop-weft/weft.sock"),
        "{notes}"
    );
    Ok(())
}

/// Paths of all values, as `image.tag`, from the schema; maps with free keys are one value.
fn values_of(schema: &Value, path: &str, found: &mut Vec<String>) {
    assert!(schema["description"].as_str().is_some_and(|text| !text.is_empty()), "{path} has no description");
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match schema["properties"].as_object() {
        Some(properties) => properties.iter().for_each(|(key, schema)| values_of(schema, &below(key), found)),
        None => found.push(path.to_owned()),
    }
    let patterns = schema["patternProperties"].as_object().into_iter().flatten();
    patterns
        .filter(|(_, schema)| schema["properties"].is_object())
        .for_each(|(_, schema)| values_of(schema, &below("NAME"), found));
}

#[test]
fn the_readme_lists_every_value_and_no_other() -> Result<()> {
    let schema: Value = serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json"))?)?;
    let mut known = Vec::new();
    values_of(&schema, "", &mut known);
    let known: BTreeSet<_> =
        known.into_iter().filter(|path| path != "global" && path != "segments").collect();
    let readme = fs::read_to_string(chart().join("README.md"))?;
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<_> = rows.map(|(path, _)| path.to_owned()).collect();
    assert_eq!(listed, known);
    Ok(())
}
