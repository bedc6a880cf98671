import CPithKernels
import PithTensor

/// A matrix on a tape, with its gradient once one has flowed to it.
public final class Variable {
    /// The first extent.
    public let rows: Int
    /// The second extent.
    public let columns: Int
    /// The elements in row-major order.
    public let values: UnsafeMutablePointer<Float>
    /// The gradient in the same order; nil while none has arrived.
    public internal(set) var gradient: UnsafeMutablePointer<Float>?
    /// Whether nothing that learns is behind it: gradients that flow to it are dropped.
    let isFrozen: Bool

    /// The number of elements.
    public var count: Int { rows * columns }

    /// A matrix over memory that someone else owns. With a `gradient` it is a parameter: what flows to it is added
    /// to what stands there, and it outlives the steps of a tape.
    public init(
        rows: Int, columns: Int, values: UnsafeMutablePointer<Float>, gradient: UnsafeMutablePointer<Float>? = nil,
        isFrozen: Bool = false
    ) {
        (self.rows, self.columns) = (rows, columns)
        (self.values, self.gradient, self.isFrozen) = (values, gradient, isFrozen)
    }
}

/// Records operations on matrices as they are computed and runs back over them to find gradients.
///
/// A tape belongs to one thread. Its memory is lent from step to step: `reset` ends the life of all variables but
/// parameters. The gradient of a variable is given back as soon as the operation that made the variable has used it.
public final class Tape {
    /// Whether operations are recorded; without it nothing can flow back.
    public var isRecording: Bool

    let buffers = BufferPool()
    /// Where layers run that are run again on the way back.
    private(set) lazy var inner = Tape(isRecording: false)
    let kernels: pith_kernels
    let training: pith_training_kernels
    private var records: [Record] = []

    /// How one operation sends the gradient of its output to its inputs.
    private struct Record {
        let output: Variable
        /// Whether the output came into being here; false for operations in place.
        let isOrigin: Bool
        let sendBack: (UnsafeMutablePointer<Float>) -> Void
    }

    /// An empty tape.
    public init(isRecording: Bool = true) {
        self.isRecording = isRecording
        kernels = PithTensor.kernels
        training = trainingKernels
    }

    /// A copy of given numbers.
    public func input(_ values: [Float], rows: Int, columns: Int) -> Variable {
        precondition(values.count == rows * columns, "values do not fit the shape")
        let variable = makeVariable(rows: rows, columns: columns)
        values.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { variable.values.update(from: base, count: source.count) }
        }
        return variable
    }

    /// Forgets all operations and takes their memory back.
    public func reset() {
        records.removeAll(keepingCapacity: true)
        buffers.takeAllBack()
    }

    /// Sends `gradient` into `output` and from there to everything that it was computed from.
    public func backward(from output: Variable, gradient: [Float]) {
        precondition(gradient.count == output.count, "the gradient does not fit the shape")
        gradient.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { backward(from: output, gradient: base) }
        }
    }

    /// The same; `gradient` has as many floats as the output.
    func backward(from output: Variable, gradient: UnsafePointer<Float>) {
        gradientTarget(output).pointer.update(from: gradient, count: output.count)
        backward()
    }

    /// Sends what gradients there are back to everything that their variables were computed from.
    public func backward() {
        for record in records.reversed() {
            guard let gradient = record.output.gradient else { continue }
            record.sendBack(gradient)
            if record.isOrigin, let gradient = record.output.gradient {
                buffers.giveBack(gradient)
                record.output.gradient = nil
            }
        }
        records.removeAll(keepingCapacity: true)
    }

    func makeVariable(rows: Int, columns: Int, isFrozen: Bool = false) -> Variable {
        Variable(rows: rows, columns: columns, values: buffers.take(rows * columns), isFrozen: isFrozen)
    }

    func record(
        _ output: Variable, isOrigin: Bool = true, _ sendBack: @escaping (UnsafeMutablePointer<Float>) -> Void
    ) {
        guard isRecording else { return }
        records.append(Record(output: output, isOrigin: isOrigin, sendBack: sendBack))
    }

    /// Where a contribution to a gradient goes: to be written if it is the first, to be added otherwise. What flows to
    /// a frozen variable is written to a buffer that nobody reads.
    func gradientTarget(_ variable: Variable) -> (pointer: UnsafeMutablePointer<Float>, isFirst: Bool) {
        if let gradient = variable.gradient { return (gradient, false) }
        let gradient = buffers.take(variable.count)
        if !variable.isFrozen { variable.gradient = gradient }
        return (gradient, true)
    }

    /// A gradient that contributions are added to.
    func zeroedGradient(_ variable: Variable) -> UnsafeMutablePointer<Float> {
        let (target, isFirst) = gradientTarget(variable)
        if isFirst { target.initialize(repeating: 0, count: variable.count) }
        return target
    }

    /// Adds `gradient`, as many floats as the variable has, to the variable's.
    func addGradient(_ gradient: UnsafePointer<Float>, to variable: Variable) {
        guard !variable.isFrozen else { return }
        let (target, isFirst) = gradientTarget(variable)
        if isFirst {
            target.update(from: gradient, count: variable.count)
        } else {
            kernels.add_scaled(gradient, 1, Int64(variable.count), target)
        }
    }

    /// Gives the gradient of `source`, which has done its work, to `target` without a copy where that can be.
    func passGradient(of source: Variable, to target: Variable) {
        guard let gradient = source.gradient, !target.isFrozen else { return }
        if target.gradient == nil {
            target.gradient = gradient
            source.gradient = nil
        } else {
            addGradient(gradient, to: target)
        }
    }
}

/// The training kernels of the path in use.
var trainingKernels: pith_training_kernels {
    pith_training_kernels_of(pith_path(UInt32(KernelPath.current.rawValue)))!.pointee
}
