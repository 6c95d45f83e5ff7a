//! What a configuration may say and what it is refused for. In: text. Out: the checked values, or the words of the refusal.

use super::*;

const GOOD: &str = r#"
[agent]
state = "/tmp/weft"
[policy]
keep_alive = "500ms"
confidence = 0.4
[budget]
memory = "1GiB"
[[segment]]
name = "cart"
image = "shop/cart:1"
port = 8080
address = "10.96.0.12:80"
limits = { memory = "64MiB", cpu = 0.5, concurrency = 4 }
[[segment]]
name = "price"
image = "shop/price:1"
port = 8080
address = "10.96.0.13:80"
miss = "pass"
"#;

fn load(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weft.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file)
}

fn refusal(text: &str) -> String {
    load(text).expect_err("must be refused").to_string()
}

#[test]
fn a_whole_configuration_is_read() {
    let config = load(GOOD).unwrap();
    assert_eq!(config.policy.keep_alive, Duration::from_millis(500));
    assert_eq!(config.policy.confidence, Confidence::Fixed(0.4));
    assert_eq!(config.budget.memory, Bytes(1 << 30));
    assert_eq!(config.segment("cart").unwrap().limits.memory.mib(), 64);
    assert_eq!(config.segment("price").unwrap().miss, Miss::Pass);
    assert_eq!(config.network.subnet.gateway().to_string(), "10.201.0.1");
}

#[test]
fn a_folder_with_a_file_per_segment_is_one_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (head, cart) = GOOD.split_once("[[segment]]\nname = \"price\"").unwrap();
    std::fs::write(folder.path().join("a.toml"), head).unwrap();
    std::fs::write(folder.path().join("b.toml"), format!("[[segment]]\nname = \"price\"{cart}")).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not toml").unwrap();
    assert_eq!(Config::load(folder.path()).unwrap().segments.len(), 2);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_known_ones() {
    let text = refusal(&GOOD.replace("miss = ", "mis = "));
    assert!(text.contains("weft.toml") && text.contains("`mis`") && text.contains("`miss`"), "{text}");
    assert!(text.contains("line"), "{text}");
}

#[test]
fn a_duplicate_segment_is_refused_by_name() {
    let text = refusal(&GOOD.replace("\"price\"", "\"cart\""));
    assert!(text.contains("`cart`") && text.contains("twice"), "{text}");
}

#[test]
fn two_segments_cannot_have_one_address() {
    let text = refusal(&GOOD.replace("10.96.0.13", "10.96.0.12"));
    assert!(text.contains("10.96.0.12:80") && text.contains("`cart`") && text.contains("`price`"), "{text}");
}

#[test]
fn an_address_inside_the_instances_subnet_is_refused() {
    let text = refusal(&GOOD.replace("10.96.0.13", "10.201.7.7"));
    assert!(text.contains("`price`") && text.contains("outside [network] subnet"), "{text}");
}

#[test]
fn sizes_durations_and_confidences_that_mean_nothing_are_refused() {
    for (good, bad, word) in [
        ("\"1GiB\"", "\"1Gib\"", "unit"),
        ("\"500ms\"", "\"0ms\"", "keep_alive"),
        ("0.4", "1.4", "confidence"),
        ("\"64MiB\"", "\"64\"", "limits"),
        ("cpu = 0.5", "cpu = 0.0", "cpu"),
        ("port = 8080", "port = 0", "port"),
    ] {
        let text = refusal(&GOOD.replacen(good, bad, 1));
        assert!(text.contains(word), "{bad}: {text}");
    }
}

#[test]
fn the_kubelets_namespace_is_never_written_to() {
    let text = refusal(&format!("{GOOD}\n[containerd]\nnamespace = \"k8s.io\""));
    assert!(text.contains("kubelet"), "{text}");
}

#[test]
fn a_missing_file_says_which() {
    let text = Config::load(Path::new("/nonexistent/weft.toml")).expect_err("absent").to_string();
    assert!(text.contains("/nonexistent/weft.toml"), "{text}");
}
