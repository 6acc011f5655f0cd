// The two cells of ECP5 that Yosys has no models of: block memory and multiplier. After Lattice's
// usage guides of memory (TN1264) and sysDSP (TN1267), and, for which inputs have the data of
// narrow words, after what Yosys connects.
//
// Only what `synth_ecp5` makes of our memories and products is modelled: port A writes, port B
// reads, and no register comes after a read or in a product. Any other configuration is an error
// at elaboration, and any other use ends the simulation.

`timescale 1ns / 1ps

// 1024 rows of 18 bits; narrower words are parts of a row, and words of 36 are pairs of rows. A
// word's parts of 9 bits have their write enables in the lowest bits of the address, if it has more
// than one. With 36, the data inputs of both ports are A's, and the outputs of both are B's: A's
// are the lower half. What is read of a word that is being written is not known.
module DP16KD #(
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG",
    parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", GSR = "ENABLED",
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000",
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL",
    parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB",
    parameter [319:0]
        INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0,
        INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0, INITVAL_07 = 0,
        INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0,
        INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0, INITVAL_0F = 0,
        INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0,
        INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0,
        INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0,
        INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0,
        INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0, INITVAL_23 = 0,
        INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0,
        INITVAL_28 = 0, INITVAL_29 = 0, INITVAL_2A = 0, INITVAL_2B = 0,
        INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0,
        INITVAL_30 = 0, INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0,
        INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0,
        INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0,
        INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0
) (
    input  wire DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6,
        DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input  wire ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1,
        ADA0,
    input  wire CSA2, CSA1, CSA0, CEA, OCEA, CLKA, WEA, RSTA,
    output wire DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6,
        DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
    input  wire DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6,
        DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input  wire ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1,
        ADB0,
    input  wire CSB2, CSB1, CSB0, CEB, OCEB, CLKB, WEB, RSTB,
    output wire DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6,
        DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
    // Bits of an address below those of a word of so many bits; -1 if there are no such words.
    function automatic integer low_bits(input integer width);
        case (width)
            1: low_bits = 0;
            2: low_bits = 1;
            4: low_bits = 2;
            9: low_bits = 3;
            18: low_bits = 4;
            36: low_bits = 5;
            default: low_bits = -1;
        endcase
    endfunction

    localparam LOW = low_bits(DATA_WIDTH_A);

    generate
        if (LOW < 0 || DATA_WIDTH_B != DATA_WIDTH_A)
            $error("DP16KD: DATA_WIDTH_A %0d, DATA_WIDTH_B %0d is not modelled",
                   DATA_WIDTH_A, DATA_WIDTH_B);
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG")
            $error("DP16KD: REGMODE %s, %s is not modelled", REGMODE_A, REGMODE_B);
        if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000")
            $error("DP16KD: CSDECODE %s, %s is not modelled", CSDECODE_A, CSDECODE_B);
        if (CLKAMUX != "CLKA" || CLKBMUX != "CLKB")
            $error("DP16KD: CLKMUX %s, %s is not modelled", CLKAMUX, CLKBMUX);
        // The mode is that of what a port reads while it writes.
        if ((WRITEMODE_A != "NORMAL" && WRITEMODE_A != "READBEFOREWRITE") ||
            (WRITEMODE_B != "NORMAL" && WRITEMODE_B != "READBEFOREWRITE"))
            $error("DP16KD: WRITEMODE %s, %s is not modelled", WRITEMODE_A, WRITEMODE_B);
    endgenerate

    wire [13:0] addr_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3,
        ADA2, ADA1, ADA0};
    wire [13:0] addr_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3,
        ADB2, ADB1, ADB0};
    wire [35:0] data = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7,
        DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0, DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11,
        DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
    wire enabled = LOW == 5 ? addr_a[3:0] != 0 : LOW == 4 ? addr_a[1:0] != 0 : 1'b1;
    wire writes = CEA && WEA && {CSA2, CSA1, CSA0} == 0 && enabled;
    wire reads = CEB && {CSB2, CSB1, CSB0} == 0;

    reg [17:0] rows [0:1023];
    wire [17:0] row_b = rows[addr_b[13:4]];
    reg [35:0] word;  // as last read

    localparam [64 * 320 - 1:0] INITVAL = {INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C,
        INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35,
        INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E,
        INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27,
        INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
        INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19,
        INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12,
        INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B,
        INITVAL_0A, INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04,
        INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00};

    integer row;
    initial for (row = 0; row < 1024; row = row + 1) rows[row] = INITVAL[20 * row +: 18];

    // Where a word of 1, 2, 4 or 9 bits begins in its row; only those of 9 bits have the ninth.
    function automatic [4:0] begin_of(input [3:0] low);
        begin_of = (low[3] ? 5'd9 : 5'd0) + {2'b0, low[2:0]};
    endfunction

    always @(posedge CLKA) begin
        if (RSTA || !CLKB) $fatal(1, "DP16KD: reset, and clocks that differ, are not modelled");
        if (writes)
            case (DATA_WIDTH_A)
                36: begin
                    if (addr_a[0]) rows[{addr_a[13:5], 1'b0}][8:0] <= data[8:0];
                    if (addr_a[1]) rows[{addr_a[13:5], 1'b0}][17:9] <= data[17:9];
                    if (addr_a[2]) rows[{addr_a[13:5], 1'b1}][8:0] <= data[26:18];
                    if (addr_a[3]) rows[{addr_a[13:5], 1'b1}][17:9] <= data[35:27];
                end
                18: begin
                    if (addr_a[0]) rows[addr_a[13:4]][8:0] <= data[8:0];
                    if (addr_a[1]) rows[addr_a[13:4]][17:9] <= data[17:9];
                end
                9: rows[addr_a[13:4]][begin_of(addr_a[3:0] & 4'd8) +: 9] <= data[8:0];
                4: rows[addr_a[13:4]][begin_of(addr_a[3:0] & 4'd12) +: 4] <= data[3:0];
                2: rows[addr_a[13:4]][begin_of(addr_a[3:0] & 4'd14) +: 2] <= data[1:0];
                default: rows[addr_a[13:4]][begin_of(addr_a[3:0])] <= data[0];
            endcase
    end

    always @(posedge CLKB) begin
        if (RSTB || WEB || !CLKA)
            $fatal(1, "DP16KD: reset, writes of port B, and clocks that differ, are not modelled");
        if (reads) begin
            if (writes && addr_a >> LOW == addr_b >> LOW) word <= 'x;
            else
                case (DATA_WIDTH_A)
                    36: word <= {rows[{addr_b[13:5], 1'b1}], rows[{addr_b[13:5], 1'b0}]};
                    18: word <= {row_b, 18'bx};
                    9: word <= {9'bx, row_b[begin_of(addr_b[3:0] & 4'd8) +: 9], 18'bx};
                    4: word <= {14'bx, row_b[begin_of(addr_b[3:0] & 4'd12) +: 4], 18'bx};
                    2: word <= {16'bx, row_b[begin_of(addr_b[3:0] & 4'd14) +: 2], 18'bx};
                    default: word <= {17'bx, row_b[begin_of(addr_b[3:0])], 18'bx};
                endcase
        end
    end

    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
        DOB4, DOB3, DOB2, DOB1, DOB0, DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9,
        DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = word;
endmodule

// A product of two numbers of 18 bits, each with a sign or without.
module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE", REG_INPUTB_CLK = "NONE", REG_INPUTC_CLK = "NONE",
    parameter REG_PIPELINE_CLK = "NONE", REG_OUTPUT_CLK = "NONE",
    parameter SOURCEB_MODE = "B_SHIFT", MULT_BYPASS = "DISABLED", GSR = "ENABLED"
) (
    input  wire A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input  wire B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input  wire C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input  wire SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    output wire P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
        P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    generate
        if (REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE" || REG_INPUTC_CLK != "NONE" ||
            REG_PIPELINE_CLK != "NONE" || REG_OUTPUT_CLK != "NONE")
            $error("MULT18X18D: registers are not modelled");
        if (SOURCEB_MODE != "B_SHIFT" || MULT_BYPASS != "DISABLED")
            $error("MULT18X18D: SOURCEB_MODE %s, MULT_BYPASS %s is not modelled",
                   SOURCEB_MODE, MULT_BYPASS);
    endgenerate

    wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1,
        A0};
    wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1,
        B0};
    wire signed [35:0] whole_a = {{18{SIGNEDA & a[17]}}, a};
    wire signed [35:0] whole_b = {{18{SIGNEDB & b[17]}}, b};

    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
        P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1,
        P0} = whole_a * whole_b;

    // Else the numbers come from the multiplier beside this one.
    always @* if (SOURCEA || SOURCEB) $fatal(1, "MULT18X18D: SOURCEA and SOURCEB are not modelled");
endmodule
