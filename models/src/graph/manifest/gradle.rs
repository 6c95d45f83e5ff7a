//! `build.gradle` and `build.gradle.kts`. In: their texts. Out: what they depend on, where it is written as
//! `configuration 'group:artifact:version'`. Version catalogues, variables and plugins are not followed.

use super::{Asked, Broken, Said};

const CONFIGURATIONS: &[&str] = &[
    "annotationProcessor",
    "api",
    "compile",
    "compileOnly",
    "implementation",
    "kapt",
    "ksp",
    "runtime",
    "runtimeOnly",
    "testCompile",
    "testImplementation",
    "testRuntimeOnly",
];

pub(super) fn read(_: &str, text: &str) -> Result<Said, Broken> {
    let mut said = Said::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let end = line.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(line.len());
        if CONFIGURATIONS.binary_search(&&line[..end]).is_err() {
            continue;
        }
        // Every other part stands between quotes.
        for quoted in line[end..].split(['"', '\'']).skip(1).step_by(2) {
            let mut parts = quoted.split(':');
            let (Some(group), Some(artifact)) = (parts.next(), parts.next()) else { continue };
            let version = parts.next().map(|version| version.split('@').next().unwrap_or(version));
            if group.is_empty() || artifact.is_empty() {
                continue;
            }
            let mut asked = Asked::new(&format!("{group}:{artifact}"), version, number as u32 + 1);
            let exact = |version: &&str| !version.is_empty() && !version.contains(['+', '[', '(', '$']);
            asked.locked = version.filter(exact).map(str::to_owned);
            said.asked.push(asked);
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_they_are_searched() {
        assert!(CONFIGURATIONS.is_sorted());
    }
}
