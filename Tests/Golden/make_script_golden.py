"""Makes ScriptTable.swift, by which characters of different scripts are told apart, and scripts.json, words that are cut
where the script changes.

Run from this folder:  python make_script_golden.py      (pip install tokenizers)

Asks the pre-tokenizer UnicodeScripts of the `tokenizers` package, character by character, which ones it leaves together.
"""

import json
import pathlib
import random

from tokenizers import pre_tokenizers

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE / "../../Sources/PithFormats/Tokenizer/ScriptTable.swift"
SPLIT = pre_tokenizers.UnicodeScripts().pre_tokenize_str
LATIN, CYRILLIC = "a", "б"


def stay_together(left, right):
    return len(SPLIT(left + right)) == 1


def runs():
    """[first character, last, number of the script] of all characters; those of number 0 stay with any."""
    examples, result = [], []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        character = chr(code)
        if stay_together(LATIN, character) and stay_together(CYRILLIC, character):
            number = 0
        else:
            # Most often it is that of a character shortly before.
            near = [run[2] - 1 for run in reversed(result[-3:]) if run[2]]
            known = (i for i in near + list(range(len(examples))) if stay_together(examples[i], character))
            number = next(known, len(examples)) + 1
            if number > len(examples):
                examples.append(character)
        if result and result[-1][2] == number and code - 1 in (result[-1][1], 0xDFFF):
            result[-1][1] = code
        else:
            result.append([code, code, number])
    return result


def main():
    table = runs()
    entries = [f"0x{first << 8 | number:x}" for first, _, number in table]
    lines, line = [], "       "
    for entry in entries:
        if len(line) + len(entry) + 2 > 120:
            lines.append(line)
            line = "       "
        line += f" {entry},"
    lines.append(line)
    body = "\n".join(lines)
    TABLE.write_text(f"""// Made by Tests/Golden/make_script_golden.py.

/// Which characters belong to one script: where the number of the script changes, the first character above 8 bits of
/// the number. 0 is what belongs to any script; Han, Hiragana and Katakana count as one.
enum ScriptTable {{
    private static let changes: [UInt32] = [
{body}
    ]

    /// The number of a character's script.
    static func script(of character: UInt32) -> UInt8 {{
        var (low, high) = (0, changes.count)
        while low + 1 < high {{
            let middle = (low + high) / 2
            if changes[middle] >> 8 <= character {{ low = middle }} else {{ high = middle }}
        }}
        return UInt8(truncatingIfNeeded: changes[low])
    }}
}}
""", encoding="utf-8")
    drawn = random.Random(1)
    # Both ends of each run, several in a row now and then.
    characters = [chr(code) for first, last, _ in table for code in (first, last) if code >= 32]
    drawn.shuffle(characters)
    words, place = [], 0
    while place < len(characters):
        count = drawn.randrange(1, 40)
        text = "".join(characters[place:place + count])
        place += count
        words.append({"text": text, "words": [list(word[1]) for word in SPLIT(text)]})
    for text in ["ab日本 カタ abcабв, where", "  a ,b日", "   ", "", ",", "ーカ", " \u0378 a"]:
        words.append({"text": text, "words": [list(word[1]) for word in SPLIT(text)]})
    (HERE / "scripts.json").write_text(json.dumps(words, ensure_ascii=True, separators=(",", ":")))


if __name__ == "__main__":
    main()
