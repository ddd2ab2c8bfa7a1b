//! Parses the tables of a Markdown document.

/// A row of a table, other than the header row.
pub struct Row {
    /// Its line number in the document.
    pub line: usize,
    /// The texts between the vertical bars.
    pub cells: Vec<String>,
}

/// Returns the rows of all tables of a document, outside of code blocks.
pub fn rows(document: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut in_code = false;
    for (index, text) in document.lines().enumerate() {
        if text.starts_with("```") {
            in_code = !in_code;
        }
        if in_code || !text.starts_with('|') {
            continue;
        }
        if text.starts_with("| ---") {
            // The row before the delimiter row is the header.
            rows.pop();
            continue;
        }
        let cells = text
            .trim_start_matches('|')
            .trim_end()
            .trim_end_matches('|');
        let cells = cells.split('|').map(|cell| cell.trim().to_owned());
        rows.push(Row {
            line: index + 1,
            cells: cells.collect(),
        });
    }
    rows
}

/// Returns the texts between backticks.
pub fn spans(text: &str) -> Vec<String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}
