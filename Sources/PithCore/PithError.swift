/// What went wrong, where, and what would be right. The one error type of Pith's public interfaces.
public struct PithError: Error, Equatable, Sendable {
    /// Who has to act, and with it the exit status of the command line (`sysexits.h`).
    public enum Kind: Int32, Sendable {
        /// A wrong call: an unknown option, a value out of range.
        case usage = 64
        /// Wrong data: a broken or unsuitable file.
        case data = 65
        /// A fault of the system or of Pith's own: no memory, no disk space.
        case fault = 70
    }

    /// Who has to act.
    public var kind: Kind
    /// What was wrong, as a sentence without a full stop.
    public var message: String
    /// Where: a file, a tensor, a byte offset, an option.
    public var place: String?
    /// What would be right.
    public var remedy: String?

    /// Creates an error of any kind.
    public init(_ kind: Kind, _ message: String, at place: String? = nil, remedy: String? = nil) {
        self.kind = kind
        self.message = message
        self.place = place
        self.remedy = remedy
    }

    /// A wrong call.
    public static func usage(_ message: String, at place: String? = nil, remedy: String? = nil) -> PithError {
        PithError(.usage, message, at: place, remedy: remedy)
    }

    /// Wrong data.
    public static func data(_ message: String, at place: String? = nil, remedy: String? = nil) -> PithError {
        PithError(.data, message, at: place, remedy: remedy)
    }

    /// A fault of the system or of Pith's own.
    public static func fault(_ message: String, at place: String? = nil, remedy: String? = nil) -> PithError {
        PithError(.fault, message, at: place, remedy: remedy)
    }

    /// The same error with an outer place put before its own, unless it stands there: `model.safetensors: tensor x`.
    public func within(_ outer: String) -> PithError {
        if place?.hasPrefix(outer) == true { return self }
        var error = self
        error.place = place.map { "\(outer): \($0)" } ?? outer
        return error
    }
}

extension PithError: CustomStringConvertible {
    /// `place: message; remedy`.
    public var description: String {
        var text = place.map { "\($0): " } ?? ""
        text += message
        if let remedy { text += "; \(remedy)" }
        return text
    }
}
