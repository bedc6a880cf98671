import Pith

/// How much of a text that is measured on was calibrated on: such figures are better than those on other text.
struct CalibrationOverlap {
    /// The name of the text that was calibrated on.
    let calibration: String
    /// The share of the text measured that is the same.
    let share: Double

    /// Texts of one kind have phrases in common.
    private static let negligible = 0.05

    /// The overlap of what a model was calibrated on with a text; nil if there is none worth a word.
    init?(_ record: CompressionManifest.CalibrationRecord?, measured text: String) {
        guard let record else { return nil }
        self.init(record.name, record.share(of: text))
    }

    /// The overlap of a text that will be calibrated on with another.
    init?(_ calibration: CalibrationText, measured text: String) {
        self.init(calibration.name, TextSketch(of: calibration.text).share(of: text))
    }

    private init?(_ calibration: String, _ share: Double) {
        guard share >= Self.negligible else { return nil }
        (self.calibration, self.share) = (calibration, share)
    }

    /// Says so on standard error.
    func warn(measured name: String) {
        PithCore.Progress.write(
            "pith: warning: about \((100 * share).formatted(decimals: 0)) % of \(name) is text that was calibrated on "
                + "(\(calibration)); figures on other text are worse\n")
    }

    /// The same for programs.
    var json: JSONValue { ["calibratedOn": .string(calibration), "share": .real(share)] }
}
