//! What is sent to break the reader.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::intake::tree::Entry;

/// A folder with a place for the upload and one for the stage.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("stage")).unwrap();
        Self(directory)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, source: &Path, bounds: &Bounds) -> Result<Tree, ArchiveError> {
        read(source, &self.0.path().join("stage"), bounds)
    }

    fn refuses(&self, source: &Path) -> String {
        self.read(source, &Bounds::default()).expect_err("it was to be refused").to_string()
    }

    /// Bytes that lie in the stage.
    fn staged(&self) -> u64 {
        let files = std::fs::read_dir(self.0.path().join("stage")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A gzipped tar of entries whose names are written as they are, which the crate's own writer would refuse.
fn tar_of(entries: &[(&str, tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, link, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

use tar::EntryType::{Char, Fifo, Link, Regular, Symlink};

#[test]
fn a_zip_a_tar_and_a_folder_give_the_same_tree_without_the_folder_around_it() {
    let desk = Desk::new();
    let folder = desk.0.path().join("shop");
    std::fs::create_dir_all(folder.join("lib")).unwrap();
    std::fs::write(folder.join("app.py"), "a").unwrap();
    std::fs::write(folder.join("lib/b.py"), "b").unwrap();
    let zip = desk.put("a.zip", &zip_of(&[("shop/app.py", b"a"), ("shop/lib/b.py", b"b")]));
    let tar = [("./shop/app.py", Regular, "", &b"a"[..]), ("./shop/lib/b.py", Regular, "", b"b")];
    let tar = desk.put("a.tgz", &tar_of(&tar));
    for source in [folder, zip, tar] {
        let desk = Desk::new();
        let tree = desk.read(&source, &Bounds::default()).unwrap();
        let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["app.py", "lib", "lib/b.py"], "{}", source.display());
        assert_eq!(tree.read("lib/b.py", 1).unwrap().unwrap(), b"b");
    }
}

#[test]
fn a_single_file_is_an_upload_by_its_name() {
    let desk = Desk::new();
    let tree = desk.read(&desk.put("app.py", b"print()"), &Bounds::default()).unwrap();
    assert_eq!(tree.only_file(), Some("app.py"));
}

#[test]
fn paths_that_leave_the_upload_are_refused_and_nothing_is_written_there() {
    for name in ["../evil.py", "a/../../evil.py", "/etc/evil", "..\\evil", "C:/evil", "a/\u{7}b"] {
        let desk = Desk::new();
        let zip = desk.refuses(&desk.put("a.zip", &zip_of(&[(name, b"x")])));
        assert!(zip.contains("evil") || zip.contains("control"), "{zip}");
        let desk = Desk::new();
        let tar = desk.refuses(&desk.put("a.tgz", &tar_of(&[(name, Regular, "", b"x")])));
        assert!(tar.contains("`..`") || tar.contains("absolute") || tar.contains("control"), "{tar}");
        assert_eq!(desk.staged(), 0);
        assert!(!desk.0.path().join("evil.py").exists());
    }
}

#[test]
fn links_out_of_the_upload_are_refused_and_links_inside_are_notes() {
    for target in ["/etc/passwd", "../secret", "lib/../../secret", ""] {
        let desk = Desk::new();
        let told = desk.refuses(&desk.put("a.tgz", &tar_of(&[("link", Symlink, target, b"")])));
        assert!(told.contains("outside of the upload"), "{told}");
    }
    let desk = Desk::new();
    let entries = [("bin/run", Symlink, "../app.py", &b""[..]), ("app.py", Regular, "", b"a")];
    let tree = desk.read(&desk.put("a.tgz", &tar_of(&entries)), &Bounds::default()).unwrap();
    assert_eq!(tree.get("bin/run"), Some(&Entry::Link { target: "../app.py".into() }));
    assert_eq!(tree.read("bin/run", 10).unwrap(), None);
}

#[test]
fn a_file_below_a_link_is_refused() {
    let desk = Desk::new();
    let entries = [("lib", Symlink, "other", &b""[..]), ("lib/a.py", Regular, "", b"a")];
    assert!(desk.refuses(&desk.put("a.tgz", &tar_of(&entries))).contains("twice"));
}

#[test]
fn a_link_of_a_zip_and_of_a_folder_is_held_to_the_same_rule() {
    let desk = Desk::new();
    let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
    writer.add_symlink("link", "../../etc/shadow", SimpleFileOptions::default()).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert!(desk.refuses(&desk.put("a.zip", &bytes)).contains("`../../etc/shadow`"));
    let folder = desk.0.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", folder.join("link")).unwrap();
    assert!(desk.refuses(&folder).contains("`/etc/shadow`"));
}

#[test]
fn devices_pipes_and_hard_links_are_refused() {
    for (kind, word) in [(Char, "device"), (Fifo, "pipe"), (Link, "hard link")] {
        let desk = Desk::new();
        let told = desk.refuses(&desk.put("a.tgz", &tar_of(&[("x", kind, "app.py", b"")])));
        assert!(told.contains("`x`") && told.contains(word), "{told}");
    }
}

#[test]
fn two_entries_of_one_path_are_refused() {
    let desk = Desk::new();
    let entries = [("app.py", Regular, "", &b"a"[..]), ("./app.py", Regular, "", b"b")];
    assert!(desk.refuses(&desk.put("a.tgz", &tar_of(&entries))).contains("twice"));
    // The writer refuses to make one, so a name is changed in what it wrote, in both places where it stands.
    let mut bytes = zip_of(&[("app.py", b"a"), ("apq.py", b"b")]);
    for at in 0..bytes.len() - 6 {
        if &bytes[at..at + 6] == b"apq.py" {
            bytes[at + 2] = b'p';
        }
    }
    let desk = Desk::new();
    assert!(desk.refuses(&desk.put("a.zip", &bytes)).contains("twice"));
}

#[test]
fn an_archive_bomb_is_given_up_early() {
    let zeros = vec![0; 64 << 20];
    let bounds = Bounds::default();
    for bytes in [zip_of(&[("zeros", &zeros)]), tar_of(&[("zeros", Regular, "", &zeros)])] {
        let desk = Desk::new();
        let packed = bytes.len() as u64;
        let told = desk.refuses(&desk.put("bomb", &bytes));
        assert!(told.contains("`zeros`") && told.contains("bomb"), "{told}");
        assert!(
            desk.staged() <= bounds.small_bytes.max(packed * bounds.ratio) + (64 << 10),
            "{}",
            desk.staged()
        );
    }
}

#[test]
fn a_bomb_in_what_is_left_out_is_one_too() {
    let desk = Desk::new();
    let zeros = vec![0; 64 << 20];
    let bounds = Bounds { entries: 10, ..Bounds::default() };
    let bytes = tar_of(&[(".git/zeros", Regular, "", &zeros), ("app.py", Regular, "", b"a")]);
    let told = desk.read(&desk.put("bomb", &bytes), &bounds).expect_err("a bomb").to_string();
    assert!(told.contains("far more than it is"), "{told}");
}

#[test]
fn a_hundred_thousand_files_are_refused() {
    let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
    for index in 0..100_000 {
        writer.start_file(format!("f{index}"), SimpleFileOptions::default()).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let desk = Desk::new();
    assert!(desk.refuses(&desk.put("a.zip", &bytes)).contains("more than 20000 files"));
    let left = std::fs::read_dir(desk.0.path().join("stage")).unwrap().count();
    assert!(left <= 20_001, "{left} files were written");
}

#[test]
fn what_is_too_large_too_deep_or_too_long_is_refused() {
    let desk = Desk::new();
    let zip = desk.put("a.zip", &zip_of(&[("a", &[7; 3000]), ("b", &[7; 3000])]));
    let bounds = Bounds { unpacked_bytes: 5000, ..Bounds::default() };
    assert!(desk.read(&zip, &bounds).expect_err("too large").to_string().starts_with("`b`"));
    let bounds = Bounds { packed_bytes: 10, ..Bounds::default() };
    assert!(matches!(desk.read(&zip, &bounds), Err(ArchiveError::PackedTooLarge { max_bytes: 10 })));
    let deep = "d/".repeat(60) + "a.py";
    let desk = Desk::new();
    assert!(desk.refuses(&desk.put("deep.zip", &zip_of(&[(&deep, b"")]))).contains("deeper than 32"));
    let long = "n".repeat(300);
    assert!(desk.refuses(&desk.put("long.zip", &zip_of(&[(&long, b"")]))).contains("longer than 255"));
}

#[test]
fn a_reader_that_takes_too_long_is_given_up() {
    let desk = Desk::new();
    let bounds = Bounds { time: Duration::ZERO, ..Bounds::default() };
    let told = desk.read(&desk.put("a.zip", &zip_of(&[("a", b"a")])), &bounds);
    assert!(matches!(told, Err(ArchiveError::Late { .. })));
}

#[test]
fn archives_that_break_off_or_are_no_archives_are_told_as_such() {
    let zip = zip_of(&[("app.py", &[b'x'; 4000])]);
    let tar = tar_of(&[("app.py", Regular, "", &(0..4000).map(|n| (n * 7) as u8).collect::<Vec<_>>())]);
    for bytes in [&zip[..zip.len() / 2], &tar[..tar.len() / 2], b"PK\x03\x04junk", &[0x1f, 0x8b, 1, 2, 3]] {
        let desk = Desk::new();
        let told = desk.refuses(&desk.put("a", bytes));
        assert!(told.contains("archive is broken") && told.contains("make it anew"), "{told}");
    }
}

#[test]
fn an_empty_upload_is_refused() {
    let desk = Desk::new();
    let folder = desk.0.path().join("empty");
    std::fs::create_dir_all(folder.join("inside")).unwrap();
    assert!(desk.refuses(&folder).contains("holds no file"));
}

#[test]
fn a_file_of_one_long_line_and_one_of_junk_are_taken_as_they_are() {
    let desk = Desk::new();
    let line = vec![b'x'; 1 << 20];
    let junk: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let zip = desk.put("a.zip", &zip_of(&[("line.py", &line), ("junk.bin", &junk)]));
    let tree = desk.read(&zip, &Bounds::default()).unwrap();
    assert_eq!(tree.bytes(), (1 << 20) + 4096);
}
