import Foundation
import Pith

/// A conversation in a terminal: reads lines, shows answers as they come.
struct ChatTerminal {
    private var conversation: Conversation
    private var options: SamplingOptions
    private let maximumCount: Int
    private let json: Bool
    private let quiet: Bool
    /// What stands before anything was said.
    private let beginning: [JSONObject]
    private let isInteractive = isatty(STDIN_FILENO) == 1

    init(_ conversation: Conversation, options: SamplingOptions, maximumCount: Int, json: Bool, quiet: Bool) {
        (self.conversation, self.options, self.maximumCount) = (conversation, options, maximumCount)
        (self.json, self.quiet) = (json, quiet)
        beginning = conversation.messages.filter { $0["role"] == .string("system") }
    }

    /// Talks until the input ends or `/quit`. An answer that fails is told, and the conversation goes on.
    mutating func run() throws {
        if isInteractive, !quiet { note("Say something; /help lists what else you can do.") }
        if conversation.messages.last?["role"] == .string("user") { try answerOrTell() }
        while let message = readMessage() {
            if message.hasPrefix("/"), !message.contains("\n") {
                guard try obey(message) else { return }
            } else if !message.allSatisfy(\.isWhitespace) {
                conversation.say(message)
                try answerOrTell()
            }
        }
        if isInteractive { note("") }
    }

    // MARK: Reading

    /// A line, or several; nil at the end of the input.
    private func readMessage() -> String? {
        // The first Ctrl-C at an empty line is likely meant for an answer that has just ended.
        Interruption.handling {
            Progress.write("\n(Ctrl-C again, Ctrl-D or /quit ends the conversation)\n> ")
        } _: {
            guard var line = readLine(marker: "> ") else { return nil }
            if line == "\"\"\"" {
                var lines: [String] = []
                while let next = readLine(marker: "… "), next != "\"\"\"" { lines.append(next) }
                return lines.joined(separator: "\n")
            }
            while line.hasSuffix("\\") {
                line.removeLast()
                guard let next = readLine(marker: "… ") else { break }
                line += "\n" + next
            }
            return line
        }
    }

    private func readLine(marker: String) -> String? {
        if isInteractive { Progress.write(marker) }
        return Swift.readLine()
    }

    // MARK: Answers

    private mutating func answerOrTell() throws {
        do { try answer() } catch let error as PithError {
            // What could not be answered was not said.
            if conversation.messages.last?["role"] == .string("user") { conversation.messages.removeLast() }
            if !isInteractive { throw error }
            note("pith: \(error.description.printable)")
        }
    }

    private mutating func answer() throws {
        let stop = StopRequest()
        let json = json
        let answer = try Interruption.handling(by: { stop.raise() }, everyTime: true) {
            try conversation.answer(options: options, maximumCount: maximumCount, isStopped: { stop.isRaised }) {
                piece in
                if !json { Self.write(piece) }
            }
        }
        Self.write((json ? line(answer).compactText : "") + "\n")
        if answer.forgottenCount > 0 {
            note("(The context is full: the \(answer.forgottenCount) oldest messages were left out.)")
        }
        if !quiet { note(summary(answer)) }
    }

    /// At once: who reads may wait for it.
    private static func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

    private func line(_ answer: Conversation.Answer) -> JSONValue {
        [
            "text": .string(answer.text), "end": .string(name(answer.end)), "tokens": .integer(answer.writtenCount),
            "promptTokens": .integer(answer.promptCount), "readTokens": .integer(answer.readCount),
            "forgottenMessages": .integer(answer.forgottenCount),
        ]
    }

    private func name(_ end: BatchedGeneration.End?) -> String {
        switch end {
        case .endOfText?: "endOfText"
        case .maximumCount?: "maximumCount"
        case .contextLength?: "contextLength"
        case nil: "stopped"
        }
    }

    private func summary(_ answer: Conversation.Answer) -> String {
        func rate(_ count: Int, _ seconds: Double) -> String {
            (Double(count) / max(seconds, 1e-9)).formatted(decimals: 0)
        }
        let why =
            switch answer.end {
            case .endOfText?: ""
            case .maximumCount?: "; cut at --max-tokens"
            case .contextLength?: "; the context is full"
            case nil: "; stopped"
            }
        return "(\(answer.readCount) tokens read at \(rate(answer.readCount, answer.readSeconds)) per second, "
            + "\(answer.writtenCount) written at \(rate(answer.writtenCount, answer.writeSeconds)) per second\(why))"
    }

    private func note(_ text: String) { Progress.write(text + "\n") }

    // MARK: Commands

    private static let help = """
        /system TEXT   tell the model something before the conversation; without TEXT nothing
        /retry         let it answer again, in another way
        /undo          take back the last message and its answer
        /clear         begin anew
        /prompt        show what the model reads
        /save FILE     write the messages to a JSON file
        /load FILE     go on with the messages of such a file
        /quit          end the conversation, as Ctrl-D does
        """

    /// Does what a line that begins with '/' says; false to end.
    private mutating func obey(_ line: String) throws -> Bool {
        let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
        let rest = parts.count > 1 ? parts[1] : ""
        do {
            switch parts[0] {
            case "/help", "/?": note(Self.help)
            case "/quit", "/exit", "/bye": return false
            case "/system": setSystem(rest)
            case "/retry": try retry()
            case "/undo": undo()
            case "/clear": conversation.messages = beginning
            case "/prompt": print(conversation.messages.isEmpty ? "" : try conversation.prompt())
            case "/save": try save(rest)
            case "/load": conversation.messages = try ChatOptions.messages(in: try file(rest))
            default: note("There is no '\(parts[0].printable)'; /help lists what there is.")
            }
        } catch let error as PithError {
            if !isInteractive { throw error }
            note("pith: \(error.description.printable)")
        }
        return true
    }

    private func file(_ name: String) throws(PithError) -> String {
        guard !name.isEmpty else { throw .usage("no file is named", remedy: "write its name behind the command") }
        return name
    }

    private func save(_ name: String) throws(PithError) {
        let path = try file(name)
        try JSONValue.array(conversation.messages.map { .object($0) }).write(to: path)
        note("\(conversation.messages.count) messages are in \(path.printable).")
    }

    private mutating func setSystem(_ text: String) {
        conversation.messages.removeAll { $0["role"] == .string("system") }
        guard !text.isEmpty else { return }
        let others = conversation.messages
        conversation.messages = []
        conversation.say(text, as: "system")
        conversation.messages += others
    }

    private mutating func undo() {
        guard let last = conversation.messages.lastIndex(where: { $0["role"] == .string("user") }) else {
            return note("Nothing was said yet.")
        }
        conversation.messages.removeSubrange(last...)
    }

    private mutating func retry() throws {
        guard let last = conversation.messages.lastIndex(where: { $0["role"] == .string("user") }) else {
            return note("Nothing was said yet.")
        }
        conversation.messages.removeSubrange((last + 1)...)
        options.seed &+= 1
        try answer()
    }
}
