/// What the engine is set up for.
package struct MixSettings {
    /// How many models are mixed.
    package enum Effort: String, CaseIterable {
        case `default`, best
    }

    /// What the bytes are, and with it which contexts are used.
    package enum Content: UInt8, CaseIterable {
        case text, binary, image1, image8, image24, audio16, x86, x64, arm64

        /// Whether it is a program for x86.
        package var isX86: Bool { self == .x86 || self == .x64 }
        /// Whether it is a program or anything else without rows of pixels or samples.
        var isBinary: Bool { self == .binary || isX86 || self == .arm64 }

        /// The word in specs.
        package var name: String { "\(self)" }
    }

    /// How many models.
    package var effort: Effort
    /// What the bytes are.
    package var content: Content
    /// Bytes in a record, a row of a picture or a frame of sound; 0 if there are none.
    package var width: Int

    /// Settings.
    package init(effort: Effort, content: Content, width: Int) {
        (self.effort, self.content, self.width) = (effort, content, width)
    }

    /// Bytes of a primer that are learnt at most: its end is the better part, and learning takes time. Programs are
    /// smaller behind a little of it, since there are words in them and weights need not be learnt anew; records are
    /// not.
    var primerLimit: Int {
        switch (effort, content) {
        case (.best, .text): .max
        case (.default, .text): 82_000
        case (.best, let content) where content.isBinary: width == 0 ? 82_000 : 0
        default: 0
        }
    }

    /// The largest width that can be said.
    package static let largestWidth = 1 << 20
}
