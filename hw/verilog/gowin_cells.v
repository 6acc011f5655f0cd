// Gowin's cells that Yosys has no models of, as far as netlists of boards have them (Gowin's UG285
// and UG287): block memory with a port to read and a port to write, of one width and without
// output registers; multipliers without registers. What a read gives that meets a write to its
// word is not known.
module gowin_block #(
    parameter WIDTH = 18
) (
    input CLK, WRITE, READ, RESET,
    input [13:0] ADA, ADB,
    input [35:0] DI,
    output [35:0] DO
);
    localparam BYTE = WIDTH % 9 == 0 ? 9 : 8;
    // Addresses are of bits; of words of two bytes and more, the lowest bits say which are written.
    localparam SHIFT = WIDTH >= 32 ? 5 : WIDTH >= 16 ? 4 : WIDTH >= 8 ? 3 : WIDTH / 2;

    reg [WIDTH-1:0] words [0:(16384 >> SHIFT)-1];
    reg [WIDTH-1:0] read_word = 0;
    wire [13:0] to = ADA >> SHIFT, from = ADB >> SHIFT;
    wire [WIDTH-1:0] lanes;
    genvar i;

    generate
        for (i = 0; i < WIDTH; i = i + 1) begin : lane
            assign lanes[i] = WIDTH < 16 || ADA[i / BYTE];
        end
    endgenerate

    assign DO = {{36 - WIDTH{1'bx}}, read_word};
    always @(posedge CLK) begin
        if (WRITE) words[to] <= words[to] & ~lanes | DI[WIDTH-1:0] & lanes;
        if (RESET) read_word <= 0;
        else if (READ) read_word <= WRITE && to == from ? {WIDTH{1'bx}} : words[from];
    end
endmodule

module SDPX9B #(
    parameter READ_MODE = 0, BIT_WIDTH_0 = 36, BIT_WIDTH_1 = 36, RESET_MODE = "SYNC",
    parameter [2:0] BLK_SEL_0 = 0, BLK_SEL_1 = 0,
    `define INIT(n) INIT_RAM_``n``0 = 0, INIT_RAM_``n``1 = 0, INIT_RAM_``n``2 = 0, \
        INIT_RAM_``n``3 = 0, INIT_RAM_``n``4 = 0, INIT_RAM_``n``5 = 0, INIT_RAM_``n``6 = 0, \
        INIT_RAM_``n``7 = 0, INIT_RAM_``n``8 = 0, INIT_RAM_``n``9 = 0, INIT_RAM_``n``A = 0, \
        INIT_RAM_``n``B = 0, INIT_RAM_``n``C = 0, INIT_RAM_``n``D = 0, INIT_RAM_``n``E = 0, \
        INIT_RAM_``n``F = 0
    parameter [287:0] `INIT(0), `INIT(1), `INIT(2), `INIT(3)
) (
    input CLKA, CEA, RESETA, CLKB, CEB, RESETB, OCE,
    input [2:0] BLKSELA, BLKSELB,
    input [13:0] ADA, ADB,
    input [35:0] DI,
    output [35:0] DO
);
    gowin_block #(.WIDTH(BIT_WIDTH_1)) block (
        .CLK(CLKB), .WRITE(CEA && BLKSELA == BLK_SEL_0), .READ(CEB && BLKSELB == BLK_SEL_1),
        .RESET(RESETB), .ADA, .ADB, .DI, .DO
    );
    initial
        if (BIT_WIDTH_0 != BIT_WIDTH_1 || READ_MODE != 0) $fatal(1, "%m: there is no model of this");
endmodule

module SDPB #(
    parameter READ_MODE = 0, BIT_WIDTH_0 = 32, BIT_WIDTH_1 = 32, RESET_MODE = "SYNC",
    parameter [2:0] BLK_SEL_0 = 0, BLK_SEL_1 = 0,
    parameter [255:0] `INIT(0), `INIT(1), `INIT(2), `INIT(3)
) (
    input CLKA, CEA, RESETA, CLKB, CEB, RESETB, OCE,
    input [2:0] BLKSELA, BLKSELB,
    input [13:0] ADA, ADB,
    input [31:0] DI,
    output [31:0] DO
);
    wire [3:0] unused;
    gowin_block #(.WIDTH(BIT_WIDTH_1)) block (
        .CLK(CLKB), .WRITE(CEA && BLKSELA == BLK_SEL_0), .READ(CEB && BLKSELB == BLK_SEL_1),
        .RESET(RESETB), .ADA, .ADB, .DI({4'b0, DI}), .DO({unused, DO})
    );
    initial
        if (BIT_WIDTH_0 != BIT_WIDTH_1 || READ_MODE != 0) $fatal(1, "%m: there is no model of this");
endmodule

`define MULTIPLIER(name, bits) \
module name ( \
    input [bits-1:0] A, SIA, B, SIB, \
    input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET, \
    output [2*bits-1:0] DOUT, \
    output [bits-1:0] SOA, SOB \
); \
    wire signed [bits:0] a = {ASIGN & A[bits-1], A}, b = {BSIGN & B[bits-1], B}; \
    wire signed [2*bits+1:0] product = a * b; \
    assign DOUT = product[2*bits-1:0]; \
endmodule
`MULTIPLIER(MULT9X9, 9)
`MULTIPLIER(MULT18X18, 18)
