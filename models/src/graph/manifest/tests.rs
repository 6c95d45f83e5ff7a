use super::*;

fn libraries(files: &[(&str, &str)]) -> (Vec<String>, Vec<(Trouble, u32)>) {
    let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(*path, *text)).collect();
    let mut trouble = Diagnostics::new(20);
    let found = read(&files, &mut trouble).libraries;
    let line = |one: &Library| {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        format!("{} {} {} {}:{}", one.name, or(&one.requirement), or(&one.locked), one.file, one.line)
    };
    let told = trouble.into_vec().into_iter().map(|one| (one.trouble, one.line)).collect();
    (found.iter().map(line).collect(), told)
}

#[test]
fn requirements_of_python_are_read_in_both_forms() {
    let requirements = "# a\nrequests[socks] >=2.0,<3 ; python_version > '3'\nflask==2.1.0  # b\n-r other.txt\nnumpy\npkg @ https://x/y.whl\n";
    let project = "[project]\ndependencies = [\n  \"redis~=5.0\",\n]\n[tool.poetry.dependencies]\npython = \"^3\"\npandas = \"^2\"\nscipy = { version = \"1.0\" }\n";
    let (found, told) = libraries(&[("requirements.txt", requirements), ("svc/pyproject.toml", project)]);
    let expected = [
        "requests >=2.0,<3 - requirements.txt:2",
        "flask ==2.1.0 2.1.0 requirements.txt:3",
        "numpy - - requirements.txt:5",
        "pkg - - requirements.txt:6",
        "redis ~=5.0 - svc/pyproject.toml:3",
        "pandas ^2 - svc/pyproject.toml:7",
        "scipy 1.0 - svc/pyproject.toml:8",
    ];
    assert_eq!((found, told), (expected.map(str::to_owned).to_vec(), Vec::new()));
}

#[test]
fn packages_of_node_and_crates_get_the_versions_of_their_lock_files() {
    let (found, told) = libraries(&[
        (
            "web/package.json",
            "{\n \"dependencies\": {\n  \"axios\": \"^1.2\"\n },\n \"devDependencies\": { \"@types/node\": \"20\" }\n}\n",
        ),
        (
            "web/package-lock.json",
            "{\"packages\": {\"\": {}, \"node_modules/axios\": {\"version\": \"1.7.2\"}, \"node_modules/a/node_modules/axios\": {\"version\": \"0.1.0\"}, \"node_modules/@types/node\": {\"version\": \"20.1.0\"}}}",
        ),
        (
            "Cargo.toml",
            "[package]\nname = \"app\"\n[dependencies]\nserde = \"1\"\nrand = { version = \"0.8\", features = [] }\nown = { path = \"own\" }\n[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n",
        ),
        (
            "Cargo.lock",
            "[[package]]\nname = \"serde\"\nversion = \"1.0.200\"\n[[package]]\nname = \"rand\"\nversion = \"0.9.0\"\n[[package]]\nname = \"rand\"\nversion = \"0.8.5\"\n",
        ),
    ]);
    let expected = [
        "serde 1 1.0.200 Cargo.toml:4",
        "rand 0.8 0.8.5 Cargo.toml:5",
        "own - - Cargo.toml:6",
        "libc 0.2 - Cargo.toml:8",
        "axios ^1.2 1.7.2 web/package.json:3",
        "@types/node 20 20.1.0 web/package.json:5",
    ];
    assert_eq!((found, told), (expected.map(str::to_owned).to_vec(), Vec::new()));
}

#[test]
fn modules_of_go_and_artifacts_of_java_are_read() {
    let pom = "<project xmlns=\"x\">\n<properties><jedis.version>5.1.0</jedis.version></properties>\n<dependencyManagement><dependencies><dependency><groupId>g</groupId><artifactId>m</artifactId><version>3</version></dependency></dependencies></dependencyManagement>\n<dependencies>\n<dependency>\n<groupId>redis.clients</groupId><artifactId>jedis</artifactId><version>${jedis.version}</version>\n</dependency>\n<dependency><groupId>g</groupId><artifactId>m</artifactId></dependency>\n</dependencies>\n</project>\n";
    let gradle = "dependencies {\n    implementation 'com.squareup.okhttp3:okhttp:4.12.0'\n    testImplementation(\"org.junit:junit:[5,6)\")\n    implementation project(':core')\n}\n";
    let (found, told) = libraries(&[
        (
            "go.mod",
            "module example.com/a\n\nrequire github.com/x/y v1.2.3 // indirect\nrequire (\n\tgolang.org/x/z v0.1.0\n)\n",
        ),
        ("pom.xml", pom),
        ("sub/build.gradle", gradle),
    ]);
    let expected = [
        "github.com/x/y v1.2.3 v1.2.3 go.mod:3",
        "golang.org/x/z v0.1.0 v0.1.0 go.mod:5",
        "redis.clients:jedis 5.1.0 5.1.0 pom.xml:5",
        "g:m 3 3 pom.xml:8",
        "com.squareup.okhttp3:okhttp 4.12.0 4.12.0 sub/build.gradle:2",
        "org.junit:junit [5,6) - sub/build.gradle:3",
    ];
    assert_eq!((found, told), (expected.map(str::to_owned).to_vec(), Vec::new()));
}

#[test]
fn a_broken_manifest_is_told_with_its_line() {
    let (found, told) = libraries(&[
        ("Cargo.toml", "[package]\nname = \n"),
        ("go.mod", "require x\n"),
        ("package.json", "{\n \"dependencies\": {,}\n}"),
        ("pom.xml", "<project>\n<a></b>\n</project>"),
        ("pyproject.toml", "[project\n"),
        ("requirements.txt", "ok\n?? nothing\n"),
    ]);
    assert!(found.is_empty(), "{found:?}");
    let lines: Vec<_> =
        told.iter().map(|(trouble, line)| (*trouble == Trouble::BadManifest, *line)).collect();
    assert_eq!(lines, [(true, 2), (true, 1), (true, 2), (true, 2), (true, 1), (true, 2)]);
}
