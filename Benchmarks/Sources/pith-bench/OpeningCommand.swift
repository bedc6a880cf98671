import ArgumentParser
import Foundation
import Pith

/// How soon a model writes after it was opened, and how much memory it takes.
struct OpeningCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "opening",
        abstract: "Time from opening a folder to the first token, and memory after writing, each in a process anew.")

    @OptionGroup var threads: ThreadOptions
    @OptionGroup var models: ModelOptions
    @OptionGroup var output: ReportOptions

    @Option(help: "Tokens that are written before memory is looked at.")
    var decode = 64

    func validate() throws {
        if !(1...1024).contains(decode) { throw ValidationError("--decode should be in 1…1024.") }
    }

    /// The figures of a layout.
    private struct Figures: Codable {
        var shape: String
        var layout: String
        /// Of the model's folder.
        var fileBytes: Int
        /// Medians.
        var opening: Opening
    }

    func run() throws {
        let pool = ThreadPool(threads: threads.threads)
        let cache = try ModelCache(models.cache, pool: pool)
        let shapes = try Shape.named(models.shape.isEmpty ? ["1.1b"] : models.shape)
        let layouts = try Layout.named(models.layout.isEmpty ? ["bf16", "int8", "int4"] : models.layout)
        let patience = Patience(minutes: models.patience)
        var report = Report(output)
        var figures: [Figures] = []
        for shape in shapes {
            for layout in layouts {
                let folder = try cache.model(shape, layout)
                var openings: [Opening] = []
                for _ in 0..<models.rounds {
                    let opening = try patience.whileQuiet { () throws(PithError) in try open(folder.path) }
                    openings.append(opening.value)
                }
                figures.append(
                    Figures(
                        shape: shape.name, layout: layout.name, fileBytes: try folder.byteCount().value,
                        opening: .median(openings)))
            }
        }
        report.add(figures.map { ($0.shape, $0.layout, $0.fileBytes, $0.opening) })
        try report.write(figures)
    }

    /// Opens a folder in a process of its own.
    private func open(_ folder: String) throws(PithError) -> Opening {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = Bundle.main.executableURL
        process.arguments = ["open-once", folder, "--threads", "\(threads.threads)", "--decode", "\(decode)"]
        process.standardOutput = pipe
        do {
            try process.run()
            let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return try JSONDecoder().decode(Opening.self, from: output)
        } catch { throw .fault("the process that opens the model gave no figures", at: folder) }
    }
}

extension Report {
    fileprivate mutating func add(_ rows: [(shape: String, layout: String, fileBytes: Int, opening: Opening)]) {
        add(
            "Opening",
            .init(
                header: ["shape", "layout", "opened", "first token", "resident", "file", "cache", "besides"], names: 2,
                rows: rows.map { row in
                    let opening = row.opening
                    let besides = opening.residentBytes - row.fileBytes - opening.cacheBytes
                    return [
                        row.shape, row.layout, opening.secondsToOpen.milliseconds,
                        opening.secondsToFirstToken.milliseconds, ByteCount(opening.residentBytes).description,
                        ByteCount(row.fileBytes).description, ByteCount(opening.cacheBytes).description,
                        "\((Double(besides) / 1e6).formatted(significant: 3)) MB",
                    ]
                }),
            note: """
                From a call in a new process until the folder is checked and mapped, and until the logits behind one \
                token are there; the file is in the system's memory already. Resident is the whole process after \
                decoding, the program itself included; besides is what remains of it without file and cache.
                """)
    }
}

/// What it takes to open a model, as a process sees it.
struct Opening: Codable {
    var secondsToOpen: Double
    var secondsToFirstToken: Double
    var residentBytes: Int
    var cacheBytes: Int

    /// The median of each figure.
    static func median(_ openings: [Opening]) -> Opening {
        func middle(_ value: (Opening) -> Double) -> Double { pith_bench.median(openings.map(value)) }
        return Opening(
            secondsToOpen: middle(\.secondsToOpen), secondsToFirstToken: middle(\.secondsToFirstToken),
            residentBytes: Int(middle { Double($0.residentBytes) }), cacheBytes: Int(middle { Double($0.cacheBytes) }))
    }
}

/// Opens a model and prints figures as JSON, for `opening`.
struct OpenOnceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "open-once", shouldDisplay: false)

    @Argument var folder: String
    @Option var decode: Int
    @OptionGroup var threads: ThreadOptions

    func run() throws {
        let clock = ContinuousClock()
        let start = clock.now
        let model = try ModelSource(folder).loadModel(pool: ThreadPool(threads: threads.threads))
        let opened = clock.now
        var state = model.makeState()
        let tokens = model.anyTokens(decode)
        _ = try model.nextLogits([tokens[0]], state: &state)
        let written = clock.now
        for token in tokens.dropFirst() { _ = try model.nextLogits([token], state: &state) }
        let opening = Opening(
            secondsToOpen: (opened - start).seconds, secondsToFirstToken: (written - start).seconds,
            residentBytes: residentBytes(), cacheBytes: state.storedBits / 8)
        print(String(decoding: try JSONEncoder().encode(opening), as: UTF8.self))
    }
}

/// The bytes of this process that are in RAM, mapped files included.
private func residentBytes() -> Int {
    #if os(Linux)
        let fields = ((try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? "").split(separator: " ")
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
    #else
        var information = mach_task_basic_info()
        var count = mach_msg_type_number_t(
            MemoryLayout<mach_task_basic_info>.size / MemoryLayout<natural_t>.size)
        let status = withUnsafeMutablePointer(to: &information) {
            $0.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                task_info(mach_task_self_, task_flavor_t(MACH_TASK_BASIC_INFO), $0, &count)
            }
        }
        return status == KERN_SUCCESS ? Int(information.resident_size) : 0
    #endif
}
