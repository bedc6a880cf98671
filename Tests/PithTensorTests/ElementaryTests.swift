import Foundation
import PithTensor
import Testing

/// Elementary functions: right, and the same bits on every machine.
struct ElementaryTests {
    /// Arguments like those of rotary angles and of logarithms.
    private static let arguments: [(angle: Double, number: Double)] = {
        var generator = SeededGenerator(seed: 17)
        return (0..<20_000).map { index in
            (Double(Float(index) * generator.uniform()), Double(generator.uniform()) * 600 - 300)
        }
    }()

    @Test func valuesAreRight() {
        for (angle, number) in Self.arguments {
            #expect(abs(sine(angle) - sin(angle)) < 1e-15)
            #expect(abs(cosine(angle) - cos(angle)) < 1e-15)
            #expect(abs(exponential(number) / exp(number) - 1) < 1e-15)
            #expect(abs(naturalLogarithm(abs(number)) - log(abs(number))) <= 1e-15 * max(1, abs(log(abs(number)))))
            #expect(abs(power(500_000, number / 300) / pow(500_000, number / 300) - 1) < 4e-15)
        }
    }

    @Test func limitsAreRight() {
        #expect(exponential(0.0) == 1 && exponential(-Double.infinity) == 0 && exponential(1000.0) == .infinity)
        #expect(exponential(709.7).isFinite && exponential(-745.0) > 0 && exponential(Double.nan).isNaN)
        #expect(naturalLogarithm(0) == -.infinity && naturalLogarithm(.infinity) == .infinity)
        #expect(naturalLogarithm(-1).isNaN && naturalLogarithm(1) == 0)
        #expect(abs(naturalLogarithm(.leastNonzeroMagnitude) + 744.4400719213812) < 1e-12)
        #expect(sine(0) == 0 && cosine(0) == 1 && sine(.infinity).isNaN && cosine(.nan).isNaN)
    }

    /// All of these bits decide what a decoder computes.
    @Test func bitsAreThoseOfEveryMachine() {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for (angle, number) in Self.arguments {
            for value in [
                sine(angle), cosine(angle), exponential(number), naturalLogarithm(abs(number)),
                power(10_000, number / 300),
            ] {
                hash = (hash ^ value.bitPattern) &* 0x100_0000_01b3
            }
        }
        #expect(hash == 0x9dfa_a687_be3c_c06a)
    }
}
