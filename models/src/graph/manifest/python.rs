//! `requirements.txt` and `pyproject.toml`. In: their texts. Out: what they ask for, by PEP 508 or as Poetry writes it.
//! Options, addresses and other files that are named are not followed.

use toml::Value;

use super::{Asked, Broken, Lines, Said, toml_table};

pub(super) fn read_requirements(_: &str, text: &str) -> Result<Said, Broken> {
    let mut said = Said::default();
    for (number, line) in text.lines().enumerate() {
        let number = number as u32 + 1;
        let line = line.split(" #").next().unwrap_or(line).trim().trim_end_matches('\\').trim();
        if line.is_empty() || line.starts_with(['#', '-']) || line.contains("://") && !line.contains(" @ ") {
            continue;
        }
        let asked = requirement(line, number).ok_or_else(|| Broken {
            line: number,
            detail: "this is neither a requirement nor an option".into(),
        })?;
        said.asked.push(asked);
    }
    Ok(said)
}

/// `name[extra] >= 1, < 2 ; marker`.
fn requirement(text: &str, line: u32) -> Option<Asked> {
    let text = text.split(';').next().unwrap_or(text);
    let text = text.split(" --").next().unwrap_or(text);
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    let (name, rest) = (text[..end].trim(), text[end..].trim());
    if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']')?.1.trim(),
        None => rest,
    };
    let rest = rest.trim_start_matches('(').trim_end_matches(')').trim();
    if !(rest.is_empty() || rest.starts_with(['=', '<', '>', '~', '!', '@'])) {
        return None;
    }
    let mut asked = Asked::new(name, Some(rest).filter(|rest| !rest.starts_with('@')), line);
    let exact = rest.strip_prefix("==").map(|version| version.trim_start_matches('=').trim());
    asked.locked = exact.filter(|version| !version.contains([',', '*'])).map(str::to_owned);
    Some(asked)
}

pub(super) fn read_project(_: &str, text: &str) -> Result<Said, Broken> {
    let (table, lines) = toml_table(text)?;
    let mut said = Said::default();
    if let Some(project) = table.get("project") {
        listed(project.get("dependencies"), &lines, &mut said);
        let optional = project.get("optional-dependencies").and_then(Value::as_table);
        optional.into_iter().flatten().for_each(|(_, list)| listed(Some(list), &lines, &mut said));
    }
    let groups = table.get("dependency-groups").and_then(Value::as_table);
    groups.into_iter().flatten().for_each(|(_, list)| listed(Some(list), &lines, &mut said));
    if let Some(poetry) = table.get("tool").and_then(|tool| tool.get("poetry")) {
        keyed(poetry.get("dependencies"), &lines, &mut said);
        keyed(poetry.get("dev-dependencies"), &lines, &mut said);
        let groups = poetry.get("group").and_then(Value::as_table);
        for (_, group) in groups.into_iter().flatten() {
            keyed(group.get("dependencies"), &lines, &mut said);
        }
    }
    Ok(said)
}

/// A list of requirements.
fn listed(list: Option<&Value>, lines: &Lines<'_>, said: &mut Said) {
    for text in list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        said.asked.extend(requirement(text, 0).map(|mut asked| {
            asked.line = lines.line(&asked.name);
            asked
        }));
    }
}

/// A table of names and versions; that of Python itself is no library's.
fn keyed(table: Option<&Value>, lines: &Lines<'_>, said: &mut Said) {
    for (name, value) in table.and_then(Value::as_table).into_iter().flatten() {
        let version = value.as_str().or_else(|| value.get("version").and_then(Value::as_str));
        if name != "python" {
            said.asked.push(Asked::new(name, version, lines.line(name)));
        }
    }
}
