//! A writer of CBOR that can write what no encoder would.

/// The head of an item, in its shortest form.
pub fn head(major: u8, number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    match number {
        0..24 => vec![major << 5 | bytes[7]],
        24..0x100 => [&[major << 5 | 24], &bytes[7..]].concat(),
        0x100..0x1_0000 => [&[major << 5 | 25], &bytes[6..]].concat(),
        0x1_0000..0x1_0000_0000 => [&[major << 5 | 26], &bytes[4..]].concat(),
        _ => long_head(major, number),
    }
}

/// The head of an item in its longest form.
pub fn long_head(major: u8, number: u64) -> Vec<u8> {
    [&[major << 5 | 27][..], &number.to_be_bytes()].concat()
}

pub fn unsigned(number: u64) -> Vec<u8> {
    head(0, number)
}

pub fn bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len() as u64), bytes.to_vec()].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [head(3, text.len() as u64), text.as_bytes().to_vec()].concat()
}

pub fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

pub fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    [head(5, pairs.len() as u64), flat(pairs)].concat()
}

pub fn indefinite_array(items: &[Vec<u8>]) -> Vec<u8> {
    [vec![0x9f], items.concat(), vec![0xff]].concat()
}

pub fn indefinite_map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    [vec![0xbf], flat(pairs), vec![0xff]].concat()
}

pub fn tagged(tag: u64, item: &[u8]) -> Vec<u8> {
    [head(6, tag), item.to_vec()].concat()
}

pub const NULL: [u8; 1] = [0xf6];

fn flat(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    pairs.iter().flat_map(|(key, value)| [key.as_slice(), value].concat()).collect()
}
