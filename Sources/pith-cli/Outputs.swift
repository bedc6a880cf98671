import Pith

/// Throws if a file that a command is to write is another one that it writes or reads: one of the two would be lost.
func requireDistinct(
    _ outputs: [(option: String, path: BytePath?)], from inputs: [BytePath] = []
) throws(PithError) {
    let named = outputs.compactMap { output in output.path.map { (output.option, $0) } }
    for (index, (option, path)) in named.enumerated() {
        for (other, otherPath) in named[..<index] where areSame(path, otherPath) {
            throw .usage("\(other) and \(option) name the same file", at: path.description)
        }
        for input in inputs where areSame(path, input) {
            throw .usage("\(option) names what is to be read", at: path.description)
        }
    }
}

/// Whether two paths lead to one file. Devices take whatever is sent to them.
private func areSame(_ left: BytePath, _ right: BytePath) -> Bool {
    guard let first = try? FileStatus(left, followsLinks: true), let second = try? FileStatus(right, followsLinks: true)
    else { return left == right && !AtomicFile.isStream(left) }
    return first.kind == .file && first.isSame(as: second)
}
