//! An ELF object for the kernel, as far as one needs to look into it. In: its bytes. Out: names and sizes of sections
//! and functions. Refuses what is no 64-bit little-endian object for BPF, and what is cut short.

use anyhow::{Context, Result, ensure};

const MACHINE_BPF: u16 = 247;
const SYMBOL_TABLE: u32 = 2;
const FUNCTION: u8 = 2;
const SECTION_HEADER_LEN: usize = 64;
const SYMBOL_LEN: usize = 24;

/// An object.
pub(super) struct Object {
    sections: Vec<Section>,
    /// Its functions, in the order of their sections.
    pub(super) functions: Vec<Function>,
}

struct Section {
    name: String,
    bytes: u64,
}

/// A function.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) section: String,
    pub(super) bytes: u64,
}

/// A section as its header has it.
struct Header {
    name_at: u32,
    kind: u32,
    at: u64,
    bytes: u64,
    /// For a symbol table: where its names are.
    link: u32,
}

impl Object {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "no 64-bit little-endian ELF object");
        let machine = u16_at(bytes, 18)?;
        ensure!(machine == MACHINE_BPF, "an object for machine {machine}, not for BPF");
        let headers = headers(bytes)?;
        let names =
            content(bytes, headers.get(usize::from(u16_at(bytes, 62)?)).context("names of sections")?)?;
        let name = |header: &Header| text_at(names, header.name_at);
        let sections = headers.iter().map(|header| Ok(Section { name: name(header)?, bytes: header.bytes }));
        let sections: Vec<Section> = sections.collect::<Result<_>>()?;
        let mut functions = Vec::new();
        for table in headers.iter().filter(|header| header.kind == SYMBOL_TABLE) {
            let names = content(bytes, headers.get(table.link as usize).context("names of symbols")?)?;
            for symbol in content(bytes, table)?.chunks_exact(SYMBOL_LEN) {
                let section = sections.get(usize::from(u16_at(symbol, 6)?));
                let (Some(section), true) = (section, symbol[4] & 0xf == FUNCTION) else { continue };
                let (name, bytes) = (text_at(names, u32_at(symbol, 0)?)?, u64_at(symbol, 16)?);
                functions.push(Function { name, section: section.name.clone(), bytes });
            }
        }
        functions.sort_by(|a, b| (&a.section, &a.name).cmp(&(&b.section, &b.name)));
        Ok(Self { sections, functions })
    }

    /// The size of a section, if there is one of that name.
    pub(super) fn section(&self, name: &str) -> Option<u64> {
        self.sections.iter().find(|section| section.name == name).map(|section| section.bytes)
    }
}

fn headers(bytes: &[u8]) -> Result<Vec<Header>> {
    let (at, len) = (usize::try_from(u64_at(bytes, 40)?)?, usize::from(u16_at(bytes, 58)?));
    ensure!(len == SECTION_HEADER_LEN, "section headers of {len} bytes");
    let table = bytes.get(at..).context("the object is cut short")?;
    let count = usize::from(u16_at(bytes, 60)?);
    let header = |header: &[u8]| {
        Ok(Header {
            name_at: u32_at(header, 0)?,
            kind: u32_at(header, 4)?,
            at: u64_at(header, 24)?,
            bytes: u64_at(header, 32)?,
            link: u32_at(header, 40)?,
        })
    };
    table.chunks_exact(SECTION_HEADER_LEN).take(count).map(header).collect()
}

fn content<'a>(bytes: &'a [u8], header: &Header) -> Result<&'a [u8]> {
    let (at, len) = (usize::try_from(header.at)?, usize::try_from(header.bytes)?);
    bytes.get(at..).and_then(|rest| rest.get(..len)).context("the object is cut short")
}

fn text_at(names: &[u8], at: u32) -> Result<String> {
    let rest = names.get(at as usize..).context("a name lies outside its table")?;
    let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    field.copied().context("the object is cut short")
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object with a section `run`, in which lies the function `go`, and the tables that name them.
    fn object() -> Vec<u8> {
        let names = b"\0run\0.BTF\0go\0";
        let mut symbol = vec![10, 0, 0, 0, 0x12, 0, 0, 0];
        symbol.extend([0; 8]);
        symbol.extend(24u64.to_le_bytes());
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&247u16.to_le_bytes());
        let names_at = bytes.len() as u64;
        bytes.extend(names);
        let symbols_at = bytes.len() as u64;
        bytes.extend(&symbol);
        let headers_at = bytes.len() as u64;
        bytes[40..48].copy_from_slice(&headers_at.to_le_bytes());
        bytes[58..64].copy_from_slice(&[64, 0, 4, 0, 3, 0]);
        let tables = [
            (1, 1, 0, 24),
            (5, 1, 0, 7),
            (0, SYMBOL_TABLE, symbols_at, 24),
            (0, 3, names_at, names.len() as u64),
        ];
        for (name, kind, at, len) in tables {
            let mut header = [0; 64];
            header[..4].copy_from_slice(&u32::to_le_bytes(name));
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[24..32].copy_from_slice(&at.to_le_bytes());
            header[32..40].copy_from_slice(&len.to_le_bytes());
            header[40] = 3;
            bytes.extend(header);
        }
        bytes
    }

    #[test]
    fn functions_and_sections_are_found_with_their_sizes() {
        let object = Object::parse(&object()).unwrap();
        assert_eq!((object.section(".BTF"), object.section("maps")), (Some(7), None));
        let [function] = &object.functions[..] else { panic!("{} functions", object.functions.len()) };
        assert_eq!((function.name.as_str(), function.section.as_str(), function.bytes), ("go", "run", 24));
    }

    #[test]
    fn an_object_that_is_cut_short_or_for_another_machine_is_refused() {
        let whole = object();
        // Headers come last, so that every cut falls into something that is needed.
        for len in 0..whole.len() - SECTION_HEADER_LEN {
            assert!(Object::parse(&whole[..len]).is_err(), "{len} bytes are enough");
        }
        let mut other = whole;
        other[18] = 62;
        assert!(Object::parse(&other).err().unwrap().to_string().contains("62"));
    }
}
