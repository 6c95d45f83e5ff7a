//! What an upload is taken for.

use super::*;
use crate::intake::archive::read;
use crate::intake::bounds::Bounds;

struct Upload(tempfile::TempDir);

impl Upload {
    fn of(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join("up").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::create_dir(directory.path().join("stage")).unwrap();
        Self(directory)
    }

    fn project(&self) -> Result<Project, ProjectError> {
        let stage = self.0.path().join("stage");
        let tree = read(&self.0.path().join("up"), &stage, &Bounds::default()).unwrap();
        Project::of(&tree, "Shop Cart.tar.gz")
    }
}

fn told(files: &[(&str, &str)]) -> String {
    Upload::of(files).project().expect_err("it was to be refused").to_string()
}

#[test]
fn the_form_of_an_upload_says_what_it_is() {
    let python = Upload::of(&[("app.py", ""), ("lib/x.py", "")]).project().unwrap();
    assert_eq!((python.language, python.handler.as_str()), (Language::Python, "app:"));
    assert_eq!(python.name, "shop-cart");
    let node = Upload::of(&[("package.json", r#"{"main": "./lib/start.js"}"#), ("lib/start.js", "")]);
    assert_eq!(node.project().unwrap().handler, "lib/start.js:");
    let sole = Upload::of(&[("resize.py", "")]).project().unwrap();
    assert_eq!(sole.handler, "resize:");
}

#[test]
fn the_manifest_says_more_than_the_form() {
    let manifest = "name = \"cart\"\nversion = \"1.4\"\nhandler = \"shop.cart:serve\"\nport = 9000\n\
                    libraries = [\"numpy\"]\n[limits]\nmemory = \"64MiB\"\n[env]\nMODE = \"x\"\n";
    let project =
        Upload::of(&[("weft.toml", manifest), ("shop/cart.py", ""), ("app.py", "")]).project().unwrap();
    assert_eq!((project.name.as_str(), project.port), ("cart", 9000));
    assert_eq!(project.handler, "shop.cart:serve");
    assert_eq!(project.limits.memory.0, 64 << 20);
    assert_eq!(project.libraries, Libraries::Pip(vec![("weft-libraries".into(), b"numpy\n".to_vec())]));
}

#[test]
fn a_handler_that_is_not_there_is_told_with_the_files_looked_for() {
    let text = told(&[("weft.toml", "handler = \"cart:serve\""), ("app.py", "")]);
    assert!(text.contains("`cart:serve`") && text.contains("cart.py or cart/__init__.py"), "{text}");
    let text = told(&[("weft.toml", "handler = \"a b:c\"\nlanguage = \"python\""), ("a b.py", "")]);
    assert!(text.contains("file:function"), "{text}");
}

#[test]
fn an_upload_in_which_nothing_or_too_much_could_run_is_refused() {
    assert!(told(&[("README", "hello")]).contains("nothing in the upload can be run"));
    assert!(told(&[("app.rb", "puts 1")]).contains("`app.py`"));
    let text = told(&[("app.py", ""), ("index.js", "")]);
    assert!(text.contains("app.py, index.js") && text.contains("handler = \"app.py\""), "{text}");
    assert!(told(&[("a.py", ""), ("b.py", "")]).contains("a.py, b.py"));
}

#[test]
fn values_of_the_manifest_that_cannot_be_meant_are_told_by_key() {
    for (manifest, part) in [
        ("nam = \"x\"", "unknown field `nam`"),
        ("name = \"Cart!\"", "name: `Cart!`"),
        ("port = 80", "port: "),
        ("handler = 7", "invalid type"),
        ("address = \"0.0.0.0:80\"", "address: "),
        ("start_timeout = \"1h\"", "start_timeout: "),
        ("limits = { memory = \"1KiB\" }", "limits: "),
        ("env = { PORT = \"1\" }", "env.PORT: "),
        ("env = { \"A=B\" = \"1\" }", "env.A=B: "),
        ("libraries = [\"--index-url=x\"]", "libraries: `--index-url=x`"),
        ("version = \"a/b\"", "version: "),
        ("name = [[[[[[", "weft.toml: "),
    ] {
        let text = told(&[("weft.toml", manifest), ("app.py", "")]);
        assert!(text.contains(part), "{manifest}: {text}");
    }
}

#[test]
fn declared_libraries_are_found_in_each_language() {
    let files = [("app.py", ""), ("requirements.txt", "# none\n-r more.txt\n"), ("more.txt", "pillow\n")];
    let Libraries::Pip(found) = Upload::of(&files).project().unwrap().libraries else { panic!("no pip") };
    assert_eq!(
        found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["weft-libraries", "more.txt", "requirements.txt"]
    );
    let empty = Upload::of(&[("app.py", ""), ("requirements.txt", "# none\n")]).project().unwrap();
    assert_eq!(empty.libraries, Libraries::None);
    let files = [("app.py", ""), ("pyproject.toml", "[project]\ndependencies = [\"numpy>=1\"]\n")];
    assert_eq!(Upload::of(&files).project().unwrap().libraries.files()[0].1, b"numpy>=1\n");
    let files = [("index.js", ""), ("package.json", r#"{"dependencies": {"ms": "2"}}"#)];
    assert!(matches!(Upload::of(&files).project().unwrap().libraries, Libraries::Npm(_)));
    let files = [("index.js", ""), ("weft.toml", "libraries = [\"@a/b@1\", \"ms\"]")];
    let found = Upload::of(&files).project().unwrap().libraries;
    assert_eq!(found.files()[0].1, br#"{"dependencies":{"@a/b":"1","ms":"*"}}"#);
    let bundled = [
        ("index.js", ""),
        ("package.json", r#"{"dependencies": {"ms": "2"}}"#),
        ("node_modules/ms/index.js", ""),
    ];
    assert_eq!(Upload::of(&bundled).project().unwrap().libraries, Libraries::None);
}

#[test]
fn declarations_that_are_broken_are_told_by_file() {
    let deep = "[".repeat(10_000);
    for (file, text) in
        [("package.json", deep.as_str()), ("package.json", "\0\u{1}junk"), ("pyproject.toml", &deep)]
    {
        let main = if file == "package.json" { "index.js" } else { "app.py" };
        assert!(told(&[(main, ""), (file, text)]).starts_with(file));
    }
    let long = "x".repeat(2 << 20);
    assert!(told(&[("app.py", ""), ("weft.toml", &long)]).contains("larger than 1048576 bytes"));
}

#[test]
fn a_program_is_known_by_its_headers_and_one_for_another_machine_is_refused() {
    let me = std::fs::read("/proc/self/exe").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let stage = directory.path().join("stage");
    let project = |bytes: &[u8]| {
        let _ = std::fs::remove_dir_all(&stage);
        std::fs::create_dir(&stage).unwrap();
        let file = directory.path().join("server");
        std::fs::write(&file, bytes).unwrap();
        Project::of(&read(&file, &stage, &Bounds::default()).unwrap(), "server")
    };
    let mut program = me[..64 << 10].to_vec();
    let own = project(&program).unwrap();
    assert_eq!(own.language, Language::Executable { linked: Linked::Dynamically });
    program[18] = 0x16;
    let text = project(&program).expect_err("another processor").to_string();
    assert!(text.contains("`server`: it is built for another processor"), "{text}");
    let text = project(b"\x7fELF\x02\x01\x01").expect_err("broken").to_string();
    assert!(text.contains("headers cannot be read"), "{text}");
}
