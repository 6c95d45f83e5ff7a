//! The program as a shell sees it, without an agent and without rights. That these tests name it has cargo build it with
//! everything that all tests need, once: the system tests start it too.
use std::process::{Command, Output};

fn weft(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weft")).args(words).output().expect("cargo has built it")
}

#[test]
fn it_says_its_version() {
    let output = weft(&["--version"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.trim() == format!("weft {}", env!("CARGO_PKG_VERSION")),
        "{said}"
    );
}

#[test]
fn words_that_it_does_not_know_are_a_wrong_use_and_told_on_standard_error() {
    let output = weft(&["fly"]);
    let (said, told) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), said.len()), (Some(2), 0), "{told}");
    assert!(told.contains("fly"), "{told}");
}

#[test]
fn a_configuration_that_is_not_there_is_a_failure_that_names_it() {
    let output = weft(&["config", "check", "/no/such/weft.toml"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("/no/such/weft.toml"), "{told}");
}
