//! Configurations that cannot be meant: `weft config check` and `weft agent` refuse them alike, before anything is
//! made, and say where, why and what to do.
use anyhow::Result;
use weft_tests::command::{Folder, weft};

const GOOD: &str = r#"
[agent]
metrics = "127.0.0.1:9435"
[network]
subnet = "10.201.0.0/16"
[budget]
memory = "1GiB"
[policy]
keep_alive = "500ms"
confidence = 0.4
[[segment]]
name = "cart"
image = "shop/cart:1"
port = 8080
address = "10.96.0.12:80"
limits = { memory = "64MiB", cpu = 0.5, concurrency = 4 }
start_timeout = "5s"
[[segment]]
name = "price"
image = "shop/price:1"
port = 8080
address = "10.96.0.13:80"
"#;

/// Both ways to read a configuration refuse `path`, and name each of `words`.
fn assert_refused(path: &str, words: &[&str]) -> Result<()> {
    for arguments in [["config", "check", path], ["agent", "--config", path]] {
        let said = weft(&arguments)?;
        assert!(said.refuses(words), "{arguments:?} does not say {words:?}\n{said}");
        assert!(said.err.contains(path), "{arguments:?} does not say where\n{said}");
    }
    Ok(())
}

#[test]
fn each_mistake_is_refused_with_its_place_cause_and_remedy() -> Result<()> {
    let folder = Folder::new("mistakes")?;
    for (good, bad, words) in [
        ("start_timeout", "start_timeuot", &["line 17", "`start_timeuot`", "`start_timeout`"][..]),
        ("\"price\"", "\"cart\"", &["segment `cart`", "used twice", "a name of its own"]),
        (
            "10.96.0.13:80",
            "10.96.0.12:80",
            &["segment `price`", "address of `cart`", "an address of its own"],
        ),
        ("10.96.0.13:80", "[::ffff:10.96.0.12]:80", &["segment `price`", "address of `cart`"]),
        ("10.96.0.13:80", "10.201.3.4:80", &["segment `price`", "outside [network] subnet"]),
        ("10.96.0.13:80", "[::ffff:10.201.3.4]:80", &["segment `price`", "outside [network] subnet"]),
        ("10.96.0.13:80", "10.96.0.13", &["line 22", "address"]),
        ("\"1GiB\"", "\"1 Gib\"", &["line 7", "`Gib` is no unit", "GiB"]),
        ("\"1GiB\"", "\"many\"", &["line 7", "`many` is no size", "\"256MiB\""]),
        ("\"1GiB\"", "\"99999999999999GiB\"", &["line 7", "more than any machine has"]),
        ("\"64MiB\"", "\"1KiB\"", &["segment `cart`", "limits", "at least 4MiB"]),
        ("cpu = 0.5", "cpu = nan", &["segment `cart`", "limits.cpu", "above 0"]),
        ("\"500ms\"", "\"500\"", &["line 9", "keep_alive"]),
        ("\"500ms\"", "\"90d\"", &["keep_alive", "24h"]),
        ("\"5s\"", "\"0s\"", &["segment `cart`", "start_timeout", "10ms to 10m"]),
        ("confidence = 0.4", "confidence = 40", &["line 10", "a number from 0 to 1"]),
        ("10.201.0.0/16", "10.201.0.0/30", &["line 5", "use 8 to 29"]),
        ("port = 8080", "port = 0", &["segment `cart`", "port"]),
        ("port = 8080", "port = 80800", &["line 14", "port"]),
        ("[policy]", "[policy", &["line 8"]),
    ] {
        assert_eq!(weft(&["config", "check", &folder.file("weft.toml", GOOD)?])?.code, Some(0));
        assert_refused(&folder.file("weft.toml", GOOD.replacen(good, bad, 1))?, words)?;
    }
    Ok(())
}

#[test]
fn a_folder_is_read_as_a_whole_and_its_mistakes_are_placed() -> Result<()> {
    let (folder, part) = (Folder::new("folder")?, "[[segment]]\nname = \"price\"");
    let (head, price) = GOOD.split_once(part).expect("the text has this part");
    folder.file("a.toml", head)?;
    folder.file("notes.txt", "no configuration")?;
    let path = folder.path().display().to_string();
    let price_file = folder.file("b.toml", format!("{part}{price}"))?;
    let said = weft(&["config", "check", &path])?;
    assert!(said.code == Some(0) && said.out.contains("2 segments"), "{said}");
    folder.file("b.toml", format!("{part}{price}[policy]\nconfidence = 0.5"))?;
    assert_refused(&path, &[&price_file, "[policy]", "two files", "Keep each section in one file"])?;
    folder.file("b.toml", format!("{part}{price}colour = \"red\""))?;
    assert_refused(&path, &[&price_file, "line 6", "`colour`"])?;
    folder.file("b.toml", format!("{part}{price}").replace("10.96.0.13", "10.96.0.12"))?;
    assert_refused(&path, &["segment `price`", "address of `cart`"])
}

#[test]
fn what_is_no_configuration_at_all_is_refused() -> Result<()> {
    let folder = Folder::new("no-config")?;
    let empty = Folder::new("empty")?;
    assert_refused(&empty.path().display().to_string(), &["0 configuration files", "end in .toml"])?;
    assert_refused("/nonexistent/weft.toml", &["cannot be read", "No such file", "Give the path"])?;
    let large = folder.file("large.toml", vec![b'#'; 2 << 20])?;
    assert_refused(&large, &["larger than any", "under 1 MiB"])?;
    assert_refused(&folder.file("elf.toml", b"\x7fELF\x02\x01\xff\xfe")?, &["UTF-8"])?;
    assert_refused(&folder.file("page.toml", "<html>\n")?, &["line 1"])?;
    // It says that it is empty, and has no end.
    assert_refused("/dev/zero", &["under 1 MiB"])
}
