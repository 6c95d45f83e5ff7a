//! `pom.xml`. In: its text. Out: what it depends on. Properties of the same file are put in; what a parent says is not
//! known. Versions without a range are those that are built with.

use quick_xml::Reader;
use quick_xml::events::Event;
use rustc_hash::FxHashMap;

use super::{Asked, Broken, Said};

/// Elements within elements.
const DEPTH_MAX: usize = 64;

#[derive(Default)]
struct Pom {
    asked: Vec<(FxHashMap<String, String>, u32, bool)>,
    properties: FxHashMap<String, String>,
}

pub(super) fn read(_: &str, text: &str) -> Result<Said, Broken> {
    let pom = parse(text)?;
    let managed: FxHashMap<String, String> = pom
        .asked
        .iter()
        .filter(|(_, _, managed)| *managed)
        .filter_map(|(fields, _, _)| Some((name(fields)?, pom.value(fields.get("version")?))))
        .collect();
    let mut said = Said::default();
    for (fields, line, _) in pom.asked.iter().filter(|(_, _, managed)| !managed) {
        let Some(name) = name(fields) else { continue };
        let version = fields.get("version").map(|version| pom.value(version));
        let version = version.or_else(|| managed.get(&name).cloned());
        let mut asked = Asked::new(&name, version.as_deref(), *line);
        asked.locked = version.filter(|version| !version.starts_with(['[', '(', '$']) && !version.is_empty());
        said.asked.push(asked);
    }
    Ok(said)
}

fn name(fields: &FxHashMap<String, String>) -> Option<String> {
    Some(format!("{}:{}", fields.get("groupId")?, fields.get("artifactId")?))
}

impl Pom {
    /// A text with the property that it names put in.
    fn value(&self, text: &str) -> String {
        let property = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        property.and_then(|name| self.properties.get(name)).map_or(text, String::as_str).to_owned()
    }
}

fn parse(text: &str) -> Result<Pom, Broken> {
    let line_at = |at: u64| 1 + text.bytes().take(at as usize).filter(|byte| *byte == b'\n').count() as u32;
    let mut reader = Reader::from_str(text);
    let (mut pom, mut open) = (Pom::default(), Vec::<String>::new());
    let mut lines = Counter { text: text.as_bytes(), at: 0, line: 1 };
    loop {
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                open.push(String::from_utf8_lossy(element.local_name().as_ref()).into_owned());
                if open.len() > DEPTH_MAX {
                    let line = lines.line(reader.buffer_position());
                    return Err(Broken {
                        line,
                        detail: format!("more than {DEPTH_MAX} elements within each other"),
                    });
                }
                if let [.., list, own] = &open[..]
                    && (list.as_str(), own.as_str()) == ("dependencies", "dependency")
                {
                    let managed = open.iter().any(|one| one == "dependencyManagement" || one == "plugin");
                    pom.asked.push((FxHashMap::default(), lines.line(reader.buffer_position()), managed));
                }
            }
            Ok(Event::End(_)) => {
                open.pop();
            }
            Ok(Event::Text(value)) => {
                let value = String::from_utf8_lossy(&value).trim().to_owned();
                match &open[..] {
                    [.., own, field] if own == "dependency" && !value.is_empty() => {
                        if let Some((fields, _, _)) = pom.asked.last_mut() {
                            fields.insert(field.clone(), value);
                        }
                    }
                    [_, own, field] if own == "properties" && !value.is_empty() => {
                        pom.properties.insert(field.clone(), value);
                    }
                    [_, field] if field == "version" => {
                        pom.properties.insert("project.version".into(), value);
                    }
                    _ => {}
                }
            }
            Ok(Event::Eof) if open.is_empty() => return Ok(pom),
            Ok(Event::Eof) => return Err(Broken { line: 0, detail: "it ends within an element".into() }),
            Ok(_) => {}
            Err(error) => {
                return Err(Broken { line: line_at(reader.error_position()), detail: error.to_string() });
            }
        }
    }
}

/// Lines of places that only go forward.
struct Counter<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
}

impl Counter<'_> {
    fn line(&mut self, to: u64) -> u32 {
        let to = (to as usize).min(self.text.len());
        if let Some(passed) = self.text.get(self.at..to) {
            self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u32;
            self.at = to;
        }
        self.line
    }
}
