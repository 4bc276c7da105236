//! Base64 as Matrix clients write it: padded or not, either alphabet, sometimes with stray trailing bits.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Decodes exactly `N` bytes. Text that mixes the two alphabets is refused, since readers differ on it.
pub fn decode<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let bytes = Zeroizing::new(engine.decode(text).ok()?);
    let exact: &[u8; N] = bytes.as_slice().try_into().ok()?;
    Some(Zeroizing::new(*exact))
}

/// Unpadded text in the standard alphabet.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_and_alphabet_do_not_matter() {
        for text in ["+/8=", "+/8", "-_8", "-_8=", "+/9"] {
            assert_eq!(decode::<2>(text).map(|b| *b), Some([0xfb, 0xff]), "{text}");
        }
    }

    #[test]
    fn mixed_alphabets_other_lengths_and_other_characters_are_refused() {
        for text in ["+_8", "-/8", "+/8A", "+w", "+/8 ", "+/8\n", "", "=", "+/8=="] {
            assert!(decode::<2>(text).is_none(), "{text:?}");
        }
    }
}
