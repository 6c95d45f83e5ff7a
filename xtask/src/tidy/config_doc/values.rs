//! Values as one writes them into the file. In: a type, or an expression that gives a default. Out: words for the
//! document; nothing for what is not known here.

use super::declarations::Declarations;

/// What is written for a type of the standard library or of `config/units.rs`.
pub(super) fn kind(name: &str) -> Option<&'static str> {
    Some(match name {
        "String" => "text",
        "PathBuf" => "path",
        "bool" => "`true` or `false`",
        "u16" | "u32" | "u64" | "usize" => "whole number",
        "f64" => "number",
        "SocketAddr" => "address and port, as `\"10.96.0.12:80\"`",
        "Duration" => "duration, as `\"60s\"`",
        "Bytes" => "size, as `\"256MiB\"`",
        "Subnet" => "IPv4 network, as `\"10.201.0.0/16\"`",
        "Vec<String>" => "list of texts",
        "Vec<PathBuf>" => "list of paths",
        "Vec<SocketAddr>" => "list of addresses and ports",
        "BTreeMap<String, String>" => "table of texts",
        _ => return None,
    })
}

/// A default as it would stand in the file.
pub(super) fn shown(expression: &str, declarations: &Declarations) -> Option<String> {
    let quoted = |text: &str| Some(format!("`\"{text}\"`"));
    let expression = expression.trim();
    if expression == "None" || expression.starts_with("Option<") {
        return Some("none".to_owned());
    }
    if ["BTreeMap::new()", "Vec::new()", "vec![]"].contains(&expression) || is_empty_collection(expression) {
        return Some("empty".to_owned());
    }
    if matches!(expression, "true" | "false") || number(expression).is_some() {
        return Some(format!("`{expression}`"));
    }
    if let Some(text) = expression.strip_prefix('"') {
        let end = text.find('"')?;
        return quoted(&text[..end]);
    }
    if let Some(inner) = call(expression, "Bytes") {
        return quoted(&size(inner)?);
    }
    if let Some(inner) = call(expression, "Duration::from_secs") {
        return quoted(&format!("{}s", number(inner)?));
    }
    if let Some(inner) = call(expression, "Duration::from_millis") {
        return quoted(&format!("{}ms", number(inner)?));
    }
    if let Some(inner) = call(expression, "SocketAddr::from") {
        let [parts @ .., port] = &numbers(inner)[..] else { return None };
        return quoted(&format!("{}:{port}", dotted(parts)?));
    }
    if let Some(inner) = call(expression, "Subnet::new") {
        let [parts @ .., prefix] = &numbers(inner)[..] else { return None };
        return quoted(&format!("{}/{prefix}", dotted(parts)?));
    }
    let (name, variant) = expression.split_once("::")?;
    let enumeration = declarations.enumeration(name)?;
    let mut variants = enumeration.variants.iter();
    let variant = variants.find(|known| match variant {
        "default()" => known.is_default,
        named => known.name == named,
    })?;
    quoted(&variant.name.to_lowercase())
}

fn is_empty_collection(expression: &str) -> bool {
    let collection = expression.starts_with("Vec<") || expression.starts_with("BTreeMap<");
    collection && expression.ends_with("::default()")
}

fn call<'a>(expression: &'a str, function: &str) -> Option<&'a str> {
    expression.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')')
}

fn number(text: &str) -> Option<f64> {
    text.replace('_', "").parse().ok()
}

/// All whole numbers of an expression, in their order.
fn numbers(text: &str) -> Vec<u64> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter_map(|word| word.replace('_', "").parse().ok()).collect()
}

fn dotted(parts: &[u64]) -> Option<String> {
    let [a, b, c, d] = parts else { return None };
    Some(format!("{a}.{b}.{c}.{d}"))
}

/// `256 << 20` in the largest unit that leaves no rest.
fn size(expression: &str) -> Option<String> {
    let bytes = match expression.split_once("<<") {
        Some((base, shift)) => {
            let shift: u32 = shift.trim().parse().ok()?;
            (number(base.trim())? as u64).checked_shl(shift)?
        }
        None => number(expression)? as u64,
    };
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    Some(unit.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_shown_as_one_writes_them() {
        let declarations =
            Declarations::read("/// A.\npub enum Word {\n    /// B.\n    #[default]\n    Auto,\n}\n");
        for (expression, text) in [
            ("\"weft0\".into()", "`\"weft0\"`"),
            ("true", "`true`"),
            ("64", "`64`"),
            ("1.0", "`1.0`"),
            ("None", "none"),
            ("BTreeMap<String, String>::default()", "empty"),
            ("Bytes(2 << 30)", "`\"2GiB\"`"),
            ("Bytes(1536)", "`\"1536B\"`"),
            ("Duration::from_millis(1_500)", "`\"1500ms\"`"),
            ("SocketAddr::from(([127, 0, 0, 1], 9435))", "`\"127.0.0.1:9435\"`"),
            ("Subnet::new(Ipv4Addr::new(10, 201, 0, 0), 16)", "`\"10.201.0.0/16\"`"),
            ("Word::Auto", "`\"auto\"`"),
            ("Word::default()", "`\"auto\"`"),
        ] {
            assert_eq!(shown(expression, &declarations).as_deref(), Some(text), "{expression}");
        }
        assert_eq!(shown("moon()", &declarations), None);
        assert_eq!(shown("Word::Moon", &declarations), None);
    }
}
