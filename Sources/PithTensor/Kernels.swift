import CPithKernels
import PithCore
import Synchronization

/// A set of kernels for one instruction set; all sets give the same bits.
public enum KernelPath: Int32, CaseIterable, Sendable {
    /// What the compiler's target has; the reference.
    case baseline = 0
    /// NEON with dot products of bytes.
    case neonDot = 1
    /// AVX2, FMA and F16C.
    case avx2 = 2
    /// AVX2 with dot products of bytes.
    case avxVNNI = 3
    /// AVX-512 F, BW, DQ and VL.
    case avx512 = 4
    /// AVX-512 with dot products of bytes, VBMI and VBMI2.
    case avx512VNNI = 5
    /// The same, with dot products of BF16.
    case avx512BF16 = 6

    /// Whether this machine can run it.
    public var isAvailable: Bool { pith_kernels_of(pith_path(UInt32(rawValue))) != nil }

    /// The kernels; nil where this machine lacks the instructions.
    public var kernels: UnsafePointer<pith_kernels>? { pith_kernels_of(pith_path(UInt32(rawValue))) }

    /// The fastest path of this machine.
    public static let best = KernelPath(rawValue: Int32(pith_best_path().rawValue)) ?? .baseline

    private static let chosen = Atomic<Int32>(KernelPath.best.rawValue)

    /// The path of a program that says nothing else; the fastest, unless it is set.
    public static var standard: KernelPath {
        get { KernelPath(rawValue: chosen.load(ordering: .relaxed)) ?? .baseline }
        set {
            precondition(newValue.isAvailable, "this machine has no \(newValue)")
            chosen.store(newValue.rawValue, ordering: .relaxed)
        }
    }

    /// The path in use here: the one that `use` chose, or else the standard one.
    public static var current: KernelPath {
        let chosen = ThreadContext.value
        return chosen == 0 ? standard : KernelPath(rawValue: Int32(chosen - 1)) ?? standard
    }

    /// Calls `body` with this path in use, in the loops that it runs and the threads that it starts as well; what runs
    /// beside it is not touched.
    public func use<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        precondition(isAvailable, "this machine has no \(self)")
        let before = ThreadContext.value
        ThreadContext.value = Int(rawValue) + 1
        defer { ThreadContext.value = before }
        return try body()
    }

    /// Calls `body` with each path that this machine can run in use.
    public static func useEach<Failure: Error>(_ body: (KernelPath) throws(Failure) -> Void) throws(Failure) {
        for path in allCases where path.isAvailable { try path.use { () throws(Failure) in try body(path) } }
    }
}

/// The kernels in use.
public var kernels: pith_kernels { KernelPath.current.kernels!.pointee }
