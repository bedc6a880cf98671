import PithTensor
import PithTraining
import Testing

@Suite("Gradients of what learners are made of agree with finite differences")
struct OperationGradientTests {
    var generator = SeededGenerator(seed: 4)

    @Test mutating func softmax() {
        checkGradients(of: [Input(3, 12, &generator)]) { $0.softmax($1[0], groups: 2) }
        let tape = Tape(isRecording: false)
        let y = tape.softmax(tape.input([1, 1, 1, 1], rows: 2, columns: 2))
        #expect((0..<4).allSatisfy { y.values[$0] == 0.5 })
    }

    @Test mutating func scatter() {
        checkGradients(of: [Input(4, 5, &generator)]) { $0.scatter($1[0], to: [2, 0, 2, 1], count: 4) }
    }

    @Test mutating func scatterIsTheReverseOfGather() {
        let tape = Tape(isRecording: false)
        let x = tape.input((0..<6).map { Float($0) }, rows: 3, columns: 2)
        let back = tape.scatter(tape.gather(x, [2, 0, 1]), to: [2, 0, 1], count: 3)
        #expect((0..<6).allSatisfy { back.values[$0] == x.values[$0] })
    }

    @Test mutating func largest() {
        // Far apart, so that a difference changes no order.
        let values: [Float] = [3, -1, 7, 0.5, -4, 2, 2.5, 9]
        var input = Input(2, 4, &generator)
        input.values = values
        checkGradients(of: [input]) { $0.largest(2, of: $1[0]).values }
        let tape = Tape(isRecording: false)
        let (y, columns) = tape.largest(2, of: tape.input(values, rows: 2, columns: 4))
        #expect(columns == [[2, 0], [3, 2]] && (0..<4).map { y.values[$0] } == [7, 3, 9, 2.5])
        // Of equal ones the first.
        #expect(tape.largest(1, of: tape.input([1, 1], rows: 1, columns: 2)).columns == [[0]])
    }

    @Test mutating func bags() {
        let inputs = [Input(5, 3, &generator)]
        checkGradients(of: inputs) { $0.bags($1[0], [[1, 4, 1], [], [0]]) }
        checkGradients(of: inputs) { $0.bags($1[0], [[1, 4], [2]], weights: [[0.5, -2], [3]]) }
    }

    @Test func roundingGoesStraightThrough() throws {
        let tape = Tape()
        let x = tape.input([0.2, 0.26, -0.7, 1.9, -0.25], rows: 1, columns: 5)
        let y = tape.rounded(x, step: 0.5, levels: -1...2)
        #expect((0..<5).map { y.values[$0] } == [0, 0.5, -0.5, 1, 0])
        tape.backward(from: y, gradient: [1, 2, 3, 4, 5])
        let gradient = try #require(x.gradient)
        // -0.7 is rounded to the last level, 1.9 lies beyond it.
        #expect((0..<5).map { gradient[$0] } == [1, 2, 3, 0, 5])
    }

    @Test(arguments: [(1, 0), (2, 1), (3, 2)]) mutating func convolutionInOneDimension(stride: Int, padding: Int) {
        let shape = ConvolutionShape(length: 7, kernel: 3, stride: stride, padding: padding)
        let inputs = [Input(14, 2, &generator), Input(4, 6, &generator), Input(1, 4, &generator)]
        checkGradients(of: inputs) { $0.convolve($1[0], $1[1], bias: $1[2], shape) }
    }

    private static let pictures = ConvolutionShape(
        height: 5, width: 4, kernel: (3, 2), stride: (2, 1), padding: (1, 1))

    @Test mutating func convolutionInTwoDimensions() {
        let shape = Self.pictures
        #expect(shape.outputHeight == 3 && shape.outputWidth == 5)
        let inputs = [Input(40, 2, &generator), Input(3, 12, &generator)]
        checkGradients(of: inputs) { $0.convolve($1[0], $1[1], shape) }
    }

    @Test mutating func transposedConvolution() {
        let shape = Self.pictures
        let inputs = [Input(30, 3, &generator), Input(12, 3, &generator)]
        checkGradients(of: inputs) { $0.convolveTransposed($1[0], $1[1], shape) }
    }

    /// Each output is the sum over the kernel, by its definition.
    @Test mutating func convolutionIsThatOfItsDefinition() {
        let (x, w) = (Input(20, 1, &generator), Input(1, 6, &generator))
        let tape = Tape(isRecording: false)
        let y = tape.convolve(
            tape.input(x.values, rows: 20, columns: 1), tape.input(w.values, rows: 1, columns: 6), Self.pictures)
        for (row, column) in [(0, 0), (1, 2), (2, 4)] {
            var sum: Float = 0
            for i in 0..<3 {
                for j in 0..<2 {
                    let (py, px) = (row * 2 - 1 + i, column - 1 + j)
                    if (0..<5).contains(py), (0..<4).contains(px) { sum += x.values[py * 4 + px] * w.values[i * 2 + j] }
                }
            }
            #expect(abs(y.values[row * 5 + column] - sum) < 1e-5)
        }
    }
}
