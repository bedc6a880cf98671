import PithCore

/// What a predictor from outside of the engine says of one bit.
package struct ExternalPrediction {
    /// The probability that the bit is one, of 2¹⁶, in 1..<2¹⁶; 0 when the predictor has nothing to say.
    package var probability: UInt32
    /// A class in 0..<`classes` of how sure the predictor is, of its own choice: weights are learnt for each.
    package var confidence: Int

    /// A prediction.
    package init(probability: UInt32, confidence: Int) {
        (self.probability, self.confidence) = (probability, confidence)
    }

    /// That of the part with the weight `part` of what weighs `whole`. The class is by `known`, 0 to 3, for how much is
    /// known already, and by how often the less likely answer is halved.
    @inline(__always)
    init(part: UInt64, of whole: UInt64, known: Int) {
        probability = UInt32(min(max(part << 16 / whole, 1), 65535))
        let halvings = min(probability, 65536 - probability).leadingZeroBitCount - 16
        confidence = known * 8 + min(halvings, 7)
    }

    /// How many classes of confidence there are.
    package static let classes = 32
    /// Nothing to say.
    package static let none = ExternalPrediction(probability: 0, confidence: 0)
}

/// A predictor that is mixed with the engine's own models, such as a language model.
///
/// For each byte, the highest bit first, the engine asks for `prediction` and then calls `update`, eight times; then
/// `finishByte`. Then, as long as `flag` says something, it codes a flag and calls `updateFlag`. Flags are decisions of
/// the predictor's own that no byte holds: that its token ends here. Encoder and decoder make the same calls in the same
/// order, and all answers must depend on these calls alone; only `flagToEncode` is for the encoder, and for text that
/// both know beforehand.
package protocol ExternalPredictor {
    /// Text that is coming but not coded: until `begin` the predictor tells how it is cut into tokens, and predicts
    /// nothing of it.
    mutating func prime(_ bytes: ArraySlice<UInt8>) throws(PithError)
    /// Text that is coming but not coded, of which the predictor tells all that it would if it were.
    mutating func rehearse(_ bytes: ArraySlice<UInt8>) throws(PithError)
    /// The next byte is the first that is coded.
    mutating func begin() throws(PithError)

    /// Of the next bit of the byte. Asked once for each bit.
    var prediction: ExternalPrediction { mutating get }
    /// The bit was this.
    mutating func update(_ bit: Bool)
    /// The byte was this: its eight bits were told already.
    mutating func finishByte(_ byte: UInt8) throws(PithError)

    /// Whether a flag is due between the last byte and the next.
    var isFlagDue: Bool { get }
    /// Of that flag; with the probability 0 there is nothing to say.
    var flag: ExternalPrediction { mutating get }
    /// Whether the token that may end would go on with this byte if it does not.
    func goesOn(with byte: UInt8) -> Bool
    /// What the flag is. Only the encoder asks.
    var flagToEncode: Bool { mutating get }
    /// The flag was this.
    mutating func updateFlag(_ bit: Bool) throws(PithError)
    /// Bytes known of the token that the next byte belongs to.
    var depth: Int { get }
}

extension ExternalPredictor {
    /// Most predictors need not know of it.
    package mutating func prime(_ bytes: ArraySlice<UInt8>) {}
    /// Most predictors need not know of it.
    package mutating func rehearse(_ bytes: ArraySlice<UInt8>) {}
    /// Nothing to do.
    package mutating func begin() {}
    /// Most predictors have no flags.
    package var isFlagDue: Bool { false }
    /// Never asked without flags.
    package var flag: ExternalPrediction { .none }
    /// Never asked without flags.
    package func goesOn(with byte: UInt8) -> Bool { false }
    /// There are no tokens without flags.
    package var depth: Int { 0 }
    /// Never asked without flags.
    package var flagToEncode: Bool { false }
    /// Never called without flags.
    package mutating func updateFlag(_ bit: Bool) {}
}

/// No predictor from outside.
package struct NoPredictor: ExternalPredictor {
    /// The one there is.
    package init() {}
    /// Nothing.
    package var prediction: ExternalPrediction { .none }
    /// Learns nothing.
    package mutating func update(_ bit: Bool) {}
    /// Learns nothing.
    package mutating func finishByte(_ byte: UInt8) {}
}
