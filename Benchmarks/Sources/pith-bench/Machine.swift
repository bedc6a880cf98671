import CProbes
import Foundation
import Pith

/// Number types that products are computed in.
enum Arithmetic: String, CaseIterable, Codable, Sendable {
    /// Floats.
    case float32 = "F32"
    /// Pairs of bfloat16, added up as floats.
    case bfloat16 = "BF16"
    /// Bytes, added up as 32-bit integers.
    case int8 = "INT8"

    private var probe: probe_arithmetic {
        switch self {
        case .float32: PROBE_F32
        case .bfloat16: PROBE_BF16
        case .int8: PROBE_INT8
        }
    }

    /// The widest instructions of this machine for it; nil if it has none.
    var instructions: String? { probe_instructions(probe).map { String(cString: $0) } }

    /// Multiply-adds per second of `threads` threads that do nothing else; without instructions of its own an
    /// arithmetic is done in floats.
    func peak(threads: Int, seconds: Double) -> Double {
        probe_multiply_add(instructions == nil ? PROBE_F32 : probe, Int32(threads), seconds)
    }
}

/// What the machine could do at a moment.
struct Limits: Codable, Sendable {
    /// Bytes read per second.
    var bytesPerSecond: Double
    /// Multiply-adds per second.
    var multiplyAddsPerSecond: Double

    /// The mean of limits before and after some work.
    static func between(_ before: Limits, _ after: Limits) -> Limits {
        Limits(
            bytesPerSecond: (before.bytesPerSecond + after.bytesPerSecond) / 2,
            multiplyAddsPerSecond: (before.multiplyAddsPerSecond + after.multiplyAddsPerSecond) / 2)
    }
}

/// The machine, asked again and again what it can do: others may share its memory, and its clock moves.
final class Machine {
    /// The threads that probes and models run on.
    let threads: Int
    private let seconds: Double
    private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    /// Larger than the caches of common machines.
    static let memorySize = 512 << 20

    /// A machine of which samples take so many seconds.
    init(threads: Int, secondsPerSample: Double = 0.2) {
        self.threads = threads
        seconds = secondsPerSample
    }

    deinit { buffer.deallocate() }

    /// Bytes read per second by streaming over `workingSet` bytes again and again: from a cache if it holds them.
    func bandwidth(workingSet: Int) -> Double {
        let size = min(max(workingSet, 1 << 20), Self.memorySize)
        if buffer.count < size {
            buffer.deallocate()
            buffer = .allocate(byteCount: size, alignment: 4096)
            // Touched, or all pages would be the same empty one.
            buffer.initializeMemory(as: UInt8.self, repeating: 1)
        }
        return probe_read(buffer.baseAddress, Int64(size), Int32(threads), seconds)
    }

    /// Multiply-adds per second.
    func peak(_ arithmetic: Arithmetic) -> Double { arithmetic.peak(threads: threads, seconds: seconds) }

    /// What the machine could do of `work` now.
    func limits(of work: Work) -> Limits {
        Limits(
            bytesPerSecond: bandwidth(workingSet: Int(work.decodeBytes)),
            multiplyAddsPerSecond: peak(work.arithmetic))
    }

    /// The processor's name.
    static var processor: String {
        #if os(Linux)
            let lines = ((try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "").split(separator: "\n")
            let name = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last
            return name.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
        #else
            var size = 0
            sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0)
            var name = [UInt8](repeating: 0, count: size)
            sysctlbyname("machdep.cpu.brand_string", &name, &size, nil, 0)
            return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
        #endif
    }
}
