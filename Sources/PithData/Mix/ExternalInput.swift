/// What an external predictor says, as inputs of the mixer.
struct ExternalInput {
    static let count = 3

    /// The predictor's prediction, stretched; 0 without.
    private(set) var stretched: Int32 = 0
    /// 0 without a prediction, else by its class of confidence: 1..<32.
    private(set) var rowClass = 0

    @inline(__always)
    mutating func predict(
        _ prediction: ExternalPrediction, _ tables: MixTables, into inputs: UnsafeMutablePointer<Int16>
    ) {
        (inputs[0], inputs[1], inputs[2]) = (0, 0, 0)
        (stretched, rowClass) = (0, 0)
        guard prediction.probability > 0 else { return }
        let probability = min(prediction.probability, 65535)
        stretched = tables.stretch(probability)
        rowClass = 1 + min(max(prediction.confidence, 0), ExternalPrediction.classes - 1) * 31 / 32
        inputs[0] = Int16(stretched)
        inputs[1] = Int16((Int32(probability) - 32768) >> 5)
        // A predictor that is certain shall be able to have the last word.
        inputs[2] = abs(stretched) > 1024 ? Int16(stretched) : 0
    }
}
