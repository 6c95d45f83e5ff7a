//! The image of a project. In: a project, its files, and the layers under them. Out: an image that serves it. Refuses
//! nothing: all was checked before.

use std::io;
use std::path::Path;

use super::layer::{Layer, LayerWriter, Writers};
use super::project::{Interface, Language, Project};
use super::tree::Tree;
use crate::runtime::ImageRef;
use crate::runtime::containerd::{Launch, NewImage};

/// What serves a Python handler, and a Node one.
const PYTHON: &str = include_str!("shims/serve.py");
const NODE: &str = include_str!("shims/serve.mjs");
/// Nobody, inside a container that has users of its own.
const USER: &str = "65534:65534";

/// Writes the layer of the code: the upload in `/app`, and what serves its handler in `/weft`.
pub(super) fn code_layer(project: &Project, tree: &Tree, path: &Path) -> io::Result<Layer> {
    let mut writer = LayerWriter::create(path)?;
    // What a program from scratch finds nothing of.
    for name in ["dev", "etc", "proc", "sys"] {
        writer.directory(name)?;
    }
    writer.directory_for("tmp", Writers::All)?;
    writer.tree("app", tree)?;
    writer.directory("weft")?;
    let server = match project.language {
        Language::Python => Some(("weft/serve.py", PYTHON)),
        Language::Node => Some(("weft/serve.mjs", NODE)),
        Language::Executable { .. } => None,
    };
    if let Some((path, text)) = server {
        writer.file(path, 0o644, text.len() as u64, text.as_bytes())?;
    }
    writer.finish()
}

/// The image of a project and its name: `weft/NAME:VERSION-HASH`.
pub(super) fn image(project: &Project, layers: &[Layer]) -> (ImageRef, NewImage) {
    let image = NewImage::new(&launch(project), layers.iter().map(super::layer_file).collect());
    let digest = image.digest();
    let hash = digest.trim_start_matches("sha256:");
    let name = format!("weft/{}:{}-{hash:.12}", project.name, project.version);
    (ImageRef::new(name), image)
}

fn launch(project: &Project) -> Launch {
    let own = [
        ("PORT", project.port.to_string()),
        ("WEFT_HANDLER", project.handler.clone()),
        ("WEFT_INTERFACE", interface(project.interface).to_owned()),
        ("WEFT_CONCURRENCY", project.limits.concurrency.to_string()),
        ("HOME", "/tmp".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
    ];
    let own = own.iter().filter(|(name, _)| !project.env.contains_key(*name));
    let env = own.map(|(name, value)| format!("{name}={value}"));
    let said = project.env.iter().map(|(name, value)| format!("{name}={value}"));
    let program: Vec<String> = match &project.language {
        // Isolated from the user's site, and unbuffered, so that what a crash says is not lost.
        Language::Python => ["/usr/bin/python3", "-I", "-u", "/weft/serve.py"].map(str::to_owned).to_vec(),
        Language::Node => ["/usr/bin/node", "/weft/serve.mjs"].map(str::to_owned).to_vec(),
        Language::Executable { .. } => vec![format!("/app/{}", project.handler)],
    };
    Launch {
        env: env.chain(said).collect(),
        entrypoint: program,
        user: USER.to_owned(),
        working_dir: "/app".to_owned(),
    }
}

fn interface(interface: Interface) -> &'static str {
    match interface {
        Interface::Auto => "auto",
        Interface::Event => "event",
        Interface::Wsgi => "wsgi",
    }
}
