//! Files to attach: a PNG, a PDF, a table. Small, valid, made of nothing.

use super::random::Random;

/// A PNG of 8-bit RGB stripes, stored without compression.
pub fn png(random: &mut Random, width: u16, height: u16) -> Vec<u8> {
    let (from, to) = (random.bytes(3), random.bytes(3));
    let mut raw = Vec::new();
    for y in 0..height {
        raw.push(0); // Filter: none.
        for x in 0..width {
            let share = u32::from(x) * 255 / u32::from(width);
            for channel in 0..3 {
                let mixed = (u32::from(from[channel]) * (255 - share) + u32::from(to[channel]) * share) / 255;
                let mixed = if (y / 8) % 2 == 0 { mixed } else { 255 - mixed };
                // A mean of octets is an octet.
                raw.push(mixed as u8);
            }
        }
    }
    let mut header = Vec::new();
    header.extend_from_slice(&u32::from(width).to_be_bytes());
    header.extend_from_slice(&u32::from(height).to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut out, *b"IHDR", &header);
    chunk(&mut out, *b"IDAT", &stored(&raw));
    chunk(&mut out, *b"IEND", &[]);
    out
}

/// A PDF of one page with one line of text (ASCII without parentheses).
pub fn pdf(line: &str) -> Vec<u8> {
    let line: String = line.chars().filter(|c| c.is_ascii() && !matches!(c, '(' | ')' | '\\')).collect();
    let stream = format!("BT /F1 18 Tf 72 720 Td ({line}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut out = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.push_str(&format!("{} 0 obj\n{object}\nendobj\n", i + 1));
    }
    let table = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    for offset in offsets {
        out.push_str(&format!("{offset:010} 00000 n \n"));
    }
    out.push_str(&format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
        objects.len() + 1
    ));
    out.into_bytes()
}

/// A table of comma-separated values with a heading.
pub fn csv(random: &mut Random, rows: usize) -> String {
    let mut out = String::from("date,item,quantity,price\r\n");
    for row in 0..rows {
        let item =
            random.pick(&["Paper A4", "Toner, black", "Envelopes C5", "Stapler", "Lamp \"Nora\"", "Chair"]);
        let item = format!("\"{}\"", item.replace('"', "\"\""));
        let (quantity, cents) = (1 + random.below(40), 100 + random.below(90_000));
        out.push_str(&format!(
            "2026-{:02}-{:02},{item},{quantity},{}.{:02}\r\n",
            1 + row % 12,
            1 + row % 28,
            cents / 100,
            cents % 100
        ));
    }
    out
}

fn chunk(out: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    // Pictures here have some kilobytes.
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let start = out.len();
    out.extend_from_slice(&name);
    out.extend_from_slice(data);
    let sum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&sum.to_be_bytes());
}

/// zlib data in stored blocks (RFC 1950, RFC 1951 3.2.4).
fn stored(raw: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = raw.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        // A chunk has at most 0xffff octets.
        let length = block.len() as u16;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for &byte in raw {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend_from_slice(&((b << 16) | a).to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adler_known_answer() {
        assert!(stored(b"Wikipedia").ends_with(&[0x11, 0xe6, 0x03, 0x98]));
    }

    #[test]
    fn pdf_offsets_point_at_their_objects() {
        let pdf = String::from_utf8(pdf("Hello (world)")).unwrap();
        assert!(pdf.contains("(Hello world) Tj"));
        let start: usize = pdf.split("startxref\n").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        assert!(pdf[start..].starts_with("xref"));
        for (i, entry) in pdf[start..].lines().skip(3).take(5).enumerate() {
            let offset: usize = entry[..10].parse().unwrap();
            assert!(pdf[offset..].starts_with(&format!("{} 0 obj", i + 1)));
        }
    }
}
