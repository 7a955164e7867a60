//! An answer that arrives line by line.

use reqwest::Response;

/// Reads lines as they arrive.
pub struct Lines {
    response: Response,
    waiting: Vec<u8>,
    most: usize,
}

impl Lines {
    pub(super) fn new(response: Response, most: usize) -> Self {
        Self { response, waiting: Vec::new(), most }
    }

    /// Returns the next line without its end, or none when the connection has ended.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.waiting.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.waiting.drain(..=end).collect();
                line.pop();
                return Some(line);
            }
            let chunk = self.response.chunk().await.ok().flatten()?;
            self.waiting.extend_from_slice(&chunk);
            if self.waiting.len() > self.most && !self.waiting.contains(&b'\n') {
                return None;
            }
        }
    }
}
