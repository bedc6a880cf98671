import PithTensor

/// How a kernel moves over pictures that lie pixel by pixel, [pictures · height · width, channels]. In one dimension the
/// height is 1.
public struct ConvolutionShape: Sendable {
    /// Rows and columns of pixels of a picture.
    public let height: Int, width: Int
    /// Rows and columns of the kernel.
    public let kernel: (height: Int, width: Int)
    /// How far it moves at a time, down and to the right.
    public let stride: (height: Int, width: Int)
    /// Zeros around a picture, above and below, left and right.
    public let padding: (height: Int, width: Int)

    /// In two dimensions.
    public init(
        height: Int, width: Int, kernel: (height: Int, width: Int), stride: (height: Int, width: Int) = (1, 1),
        padding: (height: Int, width: Int) = (0, 0)
    ) {
        (self.height, self.width, self.kernel, self.stride, self.padding) = (height, width, kernel, stride, padding)
        precondition(stride.height > 0 && stride.width > 0 && kernel.height > 0 && kernel.width > 0, "no kernel")
        precondition(outputHeight > 0 && outputWidth > 0, "the kernel is larger than the picture")
    }

    /// In one dimension.
    public init(length: Int, kernel: Int, stride: Int = 1, padding: Int = 0) {
        self.init(
            height: 1, width: length, kernel: (1, kernel), stride: (1, stride), padding: (0, padding))
    }

    /// Places of the kernel, one below the other.
    public var outputHeight: Int { (height + 2 * padding.height - kernel.height) / stride.height + 1 }
    /// Places of the kernel, side by side.
    public var outputWidth: Int { (width + 2 * padding.width - kernel.width) / stride.width + 1 }
    /// Places of the kernel on a picture.
    public var outputCount: Int { outputHeight * outputWidth }
    /// Pixels of a picture.
    var pixelCount: Int { height * width }
    /// Pixels of the kernel.
    var kernelCount: Int { kernel.height * kernel.width }

    /// For each place of the kernel the pixels below it; -1 where there is padding.
    fileprivate func pixels() -> [Int] {
        var pixels: [Int] = []
        pixels.reserveCapacity(outputCount * kernelCount)
        for place in 0..<outputCount {
            let (top, left) = (
                place / outputWidth * stride.height - padding.height,
                place % outputWidth * stride.width - padding.width
            )
            for y in top..<top + kernel.height {
                for x in left..<left + kernel.width {
                    let isInside = (0..<height).contains(y) && (0..<width).contains(x)
                    pixels.append(isInside ? y * width + x : -1)
                }
            }
        }
        return pixels
    }
}

extension Tape {
    /// A convolution: x [pictures · pixels, channels] with W [outputs, kernel pixels · channels], plus the bias
    /// [1, outputs] if there is one: [pictures · places, outputs].
    public func convolve(
        _ x: Variable, _ weight: Variable, bias: Variable? = nil, _ shape: ConvolutionShape
    ) -> Variable {
        linear(unfold(x, shape), weight, bias: bias)
    }

    /// The transposed convolution, which turns what is at the places of a convolution into pictures of `shape`: x
    /// [pictures · places, channels] with W [kernel pixels · outputs, channels]: [pictures · pixels, outputs].
    public func convolveTransposed(_ x: Variable, _ weight: Variable, _ shape: ConvolutionShape) -> Variable {
        fold(linear(x, weight), shape)
    }

    /// The pixels below each place of the kernel, side by side: [pictures · places, kernel pixels · channels].
    func unfold(_ x: Variable, _ shape: ConvolutionShape) -> Variable {
        precondition(x.rows % shape.pixelCount == 0, "the pictures do not fit")
        let pictures = x.rows / shape.pixelCount
        let y = makeVariable(rows: pictures * shape.outputCount, columns: shape.kernelCount * x.columns)
        let pixels = shape.pixels()
        y.values.update(repeating: 0, count: y.count)
        Self.forEachPixel(pixels, pictures, shape, x.columns) { below, pixel in
            (y.values + below).update(from: x.values + pixel, count: x.columns)
        }
        record(y) { [unowned self] dy in
            let dx = zeroedGradient(x)
            Self.forEachPixel(pixels, pictures, shape, x.columns) { below, pixel in
                kernels.add_scaled(dy + below, 1, Int64(x.columns), dx + pixel)
            }
        }
        return y
    }

    /// The reverse of `unfold`: what stands for one pixel at several places is added up.
    func fold(_ x: Variable, _ shape: ConvolutionShape) -> Variable {
        precondition(x.rows % shape.outputCount == 0 && x.columns % shape.kernelCount == 0, "the places do not fit")
        let (pictures, channels) = (x.rows / shape.outputCount, x.columns / shape.kernelCount)
        let y = makeVariable(rows: pictures * shape.pixelCount, columns: channels)
        let pixels = shape.pixels()
        y.values.update(repeating: 0, count: y.count)
        Self.forEachPixel(pixels, pictures, shape, channels) { below, pixel in
            kernels.add_scaled(x.values + below, 1, Int64(channels), y.values + pixel)
        }
        record(y) { [unowned self] dy in
            let dx = zeroedGradient(x)
            Self.forEachPixel(pixels, pictures, shape, channels) { below, pixel in
                kernels.add_scaled(dy + pixel, 1, Int64(channels), dx + below)
            }
        }
        return y
    }

    /// Calls `body` with where the channels of a pixel stand below a place of the kernel, and where in the picture.
    private static func forEachPixel(
        _ pixels: [Int], _ pictures: Int, _ shape: ConvolutionShape, _ channels: Int,
        _ body: (_ below: Int, _ pixel: Int) -> Void
    ) {
        for picture in 0..<pictures {
            let first = picture * shape.pixelCount
            for (place, pixel) in pixels.enumerated() where pixel >= 0 {
                body((picture * pixels.count + place) * channels, (first + pixel) * channels)
            }
        }
    }
}
