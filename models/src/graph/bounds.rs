//! How much an upload may cost. Source is hostile: whatever is beyond a bound is left out and told in a diagnostic, so
//! that time and memory do not depend on what is uploaded.

/// The bounds of one build of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Files that are read, the first by path.
    pub files: usize,
    /// Bytes of one file. A larger one is left out.
    pub file_bytes: usize,
    /// Bytes of all files.
    pub total_bytes: usize,
    /// Syntax nodes of one file; what follows is left out.
    pub syntax_nodes: usize,
    /// Nesting of syntax; what is deeper is left out. Every walk over a program recurses no deeper, so this also
    /// bounds the stack.
    pub syntax_depth: u16,
    /// Times that the parser reports progress per 1,000 bytes, each after a hundred of its steps. Recovery from errors
    /// can take many steps per byte.
    pub parse_reports: usize,
    /// Values that one expression may have; what would be added is dropped, and the expression's calls are inferred.
    pub values: usize,
    /// Values that are pushed along the assignment graph before resolution stops.
    pub resolution_steps: usize,
    /// Cells of the assignment graph that resolution may add to those of the source.
    pub resolution_cells: usize,
    /// Edges of the graph.
    pub edges: usize,
    /// Diagnostics that are kept; the rest is counted.
    pub diagnostics: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            files: 20_000,
            file_bytes: 4 << 20,
            total_bytes: 256 << 20,
            syntax_nodes: 2_000_000,
            syntax_depth: 200,
            parse_reports: 400,
            values: 16,
            resolution_steps: 40_000_000,
            resolution_cells: 20_000_000,
            edges: 4_000_000,
            diagnostics: 200,
        }
    }
}
