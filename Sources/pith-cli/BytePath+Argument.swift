import ArgumentParser
import Pith

extension BytePath: ExpressibleByArgument {
    /// The path that a person gave, byte by byte: arguments come as text, in which bytes that are no UTF-8 are replaced.
    public init?(argument: String) {
        guard argument.unicodeScalars.contains("\u{FFFD}") else {
            self.init(argument)
            return
        }
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let pointer = CommandLine.unsafeArgv[index] else { continue }
            let raw = BytePath(String(cString: pointer) == argument ? Self.bytes(pointer) : Self.value(pointer))
            if raw.systemText == argument {
                self = raw
                return
            }
        }
        self.init(argument)
    }

    private static func bytes(_ pointer: UnsafePointer<CChar>) -> [UInt8] {
        var (bytes, pointer) = ([UInt8](), pointer)
        while pointer.pointee != 0 {
            bytes.append(UInt8(bitPattern: pointer.pointee))
            pointer += 1
        }
        return bytes
    }

    /// What stands behind the first equals sign, as in `--output=FILE`.
    private static func value(_ pointer: UnsafePointer<CChar>) -> [UInt8] {
        let bytes = bytes(pointer)
        return Array(bytes.drop { $0 != UInt8(ascii: "=") }.dropFirst())
    }

    /// The path for programs: text if it is, else as it is shown to people.
    var jsonText: String { text ?? description }
}
