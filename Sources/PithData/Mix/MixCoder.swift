import PithCoding
import PithCore

/// The engine as a coder of runs of bytes: `Mix` and methods with a language model call it.
enum MixCoder {
    /// Codes `input`: a byte for the content, its options, and a stream of the range coder.
    static func encode<External: ExternalPredictor>(
        _ input: [UInt8], _ settings: MixSettings, _ external: consuming External, _ context: CodingContext
    ) throws(PithError) -> [UInt8] { [] }

    /// Appends the `count` bytes of `payload` to `output`; see `DataMethod.decode`.
    static func decode<External: ExternalPredictor>(
        _ payload: CodedPayload, count: Int, into output: inout [UInt8], effort: MixSettings.Effort,
        _ external: consuming External, _ context: CodingContext
    ) throws(PithError) {}
}
